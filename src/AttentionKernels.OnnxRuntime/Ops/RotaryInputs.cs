using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Inputs of a rotation, in whatever memory they are: cos_cache and sin_cache [Positions, Pairs], position_ids [B, S].</summary>
internal readonly unsafe struct RotaryInputs
{
    public void* Cos { get; private init; }

    public void* Sin { get; private init; }

    /// <summary>int64; null: not given.</summary>
    public void* PositionIds { get; private init; }

    /// <summary>R / 2.</summary>
    public int Pairs { get; private init; }

    /// <summary>Rows of the caches.</summary>
    public int Positions { get; private init; }

    /// <summary>Reads them and checks their shapes.</summary>
    /// <param name="context">Node.</param>
    /// <param name="cosIndex">Position of input cos_cache; sin_cache and position_ids follow it.</param>
    /// <param name="problem">Sizes.</param>
    /// <param name="newKeys">Rows of input key.</param>
    public static RotaryInputs Read(in KernelContext context, int cosIndex, in AttentionProblem problem, int newKeys)
    {
        int rows = problem.QueryLength;
        if (newKeys != rows)
        {
            throw Argument.Error($"input 'key' has {newKeys} rows, expected {rows}, as many as query, because do_rotary is 1");
        }
        TensorArgument cos = Argument.Required(context, cosIndex, "cos_cache"), sin = Argument.Required(context, cosIndex + 1, "sin_cache");
        Argument.CheckShape(cos, "cos_cache", "[max positions, R / 2]", Argument.Any, Argument.Any);
        Argument.CheckShape(sin, "sin_cache", "[max positions, R / 2], as cos_cache", cos.Shape);
        int positions = Argument.Dimension(cos, "cos_cache", 0), pairs = Argument.Dimension(cos, "cos_cache", 1);
        if (positions == 0)
        {
            throw Argument.Error($"input 'cos_cache' has shape [0,{pairs}], expected at least one row");
        }
        if (2L * pairs > problem.HeadSize)
        {
            throw Argument.Error($"input 'cos_cache' has {pairs} columns, expected at most {problem.HeadSize / 2} = D / 2");
        }
        void* ids = null;
        if (context.TryGetInput(cosIndex + 2, out TensorArgument given))
        {
            Argument.CheckShape(given, "position_ids", "[B, S]", problem.Batch, rows);
            ids = given.Data;
        }
        return new RotaryInputs { Cos = cos.Data, Sin = sin.Data, PositionIds = ids, Pairs = pairs, Positions = positions };
    }
}
