namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Kinds of instructions that <see cref="PtxCounts"/> tells apart.</summary>
internal enum PtxOpClass
{
    /// <summary>mov, cvta, ld.param: mostly free after register allocation.</summary>
    Move,
    Integer,

    /// <summary>Arithmetic of f16, f32, f64 that is rounded exactly.</summary>
    Float,

    /// <summary>ex2, lg2, rcp, rsqrt, sqrt, sin, cos, tanh and approximate division: the special function unit.</summary>
    Special,
    Convert,

    /// <summary>setp, set, selp, slct, testp and logic of predicates.</summary>
    Compare,
    Branch,
    Barrier,
    Matrix,
    LoadMatrix,
    AsyncCopy,
    LoadGlobal,
    StoreGlobal,
    LoadShared,
    StoreShared,
    Local,

    /// <summary>shfl, vote, match, redux.</summary>
    Exchange,
    Atomic,

    /// <summary>Fences, groups of asynchronous copies, prefetches.</summary>
    Other,
}
