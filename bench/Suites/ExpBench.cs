using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using BenchmarkDotNet.Attributes;

namespace AttentionKernels.Bench.Suites;

/// <summary>The softmax's exponential over 4,096 logits, which stay in the first-level cache, by vector length.</summary>
[InProcess]
[BenchmarkCategory("kernels")]
public unsafe class ExpBench
{
    private const int Count = 4096;
    private float* _logits;
    private float* _results;

    /// <summary>Makes the logits, between -20 and 0.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _logits = (float*)NativeMemory.AlignedAlloc(Count * sizeof(float), 64);
        _results = (float*)NativeMemory.AlignedAlloc(Count * sizeof(float), 64);
        Random random = new(7);
        for (int i = 0; i < Count; i++)
        {
            _logits[i] = -20 * random.NextSingle();
        }
    }

    /// <summary>Frees them.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        NativeMemory.AlignedFree(_logits);
        NativeMemory.AlignedFree(_results);
    }

    /// <summary>128 bits, whatever the processor has.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Count)]
    public void Portable() => Run<Vector128F>();

    /// <summary>256 bits.</summary>
    [Benchmark(OperationsPerInvoke = Count)]
    public void Avx2() => Run<Vector256F>();

    /// <summary>512 bits.</summary>
    [Benchmark(OperationsPerInvoke = Count)]
    public void Avx512() => Run<Vector512F>();

    private void Run<V>()
        where V : struct, IVector<V>
    {
        for (int i = 0; i < Count; i += V.Count)
        {
            V.Store(VectorMath.Exp(V.Load(_logits + i)), _results + i);
        }
    }
}
