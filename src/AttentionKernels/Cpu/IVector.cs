using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>A vector of float32 lanes: what the kernels need of an instruction set. Masks are vectors of all-ones or all-zero lanes.</summary>
/// <typeparam name="V">The vector itself, so that every kernel is compiled for each width.</typeparam>
internal unsafe interface IVector<V>
    where V : struct, IVector<V>
{
    /// <summary>Lanes.</summary>
    static abstract int Count { get; }

    /// <summary>Vectors of a register block of <see cref="Gemm"/>: 6 rows of them are accumulators, and they, as many operands and a broadcast must fit the register file.</summary>
    static abstract int BlockVectors { get; }

    static abstract V Load(float* source);

    static abstract void Store(V value, float* target);

    /// <summary>Stores to memory that will hardly be read, aligned to the vector, past the caches where the processor can; <see cref="StoreFence"/> must follow before another thread reads it.</summary>
    static abstract void StoreStreaming(V value, float* target);

    /// <summary>Makes streamed values visible to other threads.</summary>
    static abstract void StoreFence();

    static abstract V Broadcast(float value);

    /// <summary>a * b + c, fused where the processor can.</summary>
    static abstract V MultiplyAdd(V a, V b, V c);

    /// <summary>c = a * b + c. By reference, because the compiler then keeps c in its register: returned, 9 of 24 accumulators of a block were moved at every step.</summary>
    static abstract void Accumulate(V a, V b, ref V c);

    /// <summary>c = *a * b + c, with *a in every lane: one instruction where the processor broadcasts a memory operand.</summary>
    static abstract void AccumulateBroadcast(float* a, V b, ref V c);

    static abstract V Add(V a, V b);

    static abstract V Subtract(V a, V b);

    static abstract V Multiply(V a, V b);

    static abstract V Divide(V a, V b);

    static abstract V Abs(V a);

    /// <summary>Maximum; where either is NaN, b on x86 and NaN elsewhere.</summary>
    static abstract V Max(V a, V b);

    static abstract V LessThan(V a, V b);

    static abstract V Equals(V a, V b);

    /// <summary>a where the mask is set, else b.</summary>
    static abstract V Select(V mask, V a, V b);

    /// <summary>value, but 0 in the lanes with x &lt; limit. One operation, because a mask that is a vector of its own costs another instruction.</summary>
    static abstract V ZeroBelow(V x, V limit, V value);

    /// <summary>a with the sign of b.</summary>
    static abstract V CopySign(V a, V b);

    /// <summary>Whether every lane of a mask is set.</summary>
    static abstract bool All(V mask);

    /// <summary>Sum of the vector's parts of four lanes.</summary>
    static abstract Vector128<float> Fold(V a);

    /// <summary>Mask of the lanes whose bit is set; bit 0 is lane 0.</summary>
    static abstract V Lanes(ulong bits);

    /// <summary>Mask of the lanes with first[lane] &lt;= value &lt; end[lane].</summary>
    static abstract V InRange(int* first, int* end, int value);

    /// <summary>a * 2^n for the integer n that was added to 1.5 * 2^23, i.e. sits in the low mantissa bits of <paramref name="shifted"/>; a and the result are normal numbers.</summary>
    static abstract V ScaleByPowerOfTwo(V a, V shifted);
}
