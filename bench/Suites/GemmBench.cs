using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using BenchmarkDotNet.Attributes;

namespace AttentionKernels.Bench.Suites;

/// <summary>The engine's matrix product on one tile that stays in the second-level cache: 60 keys by 64 query rows, as in S^T = K Q^T, by vector length.</summary>
[InProcess]
[BenchmarkCategory("kernels")]
public unsafe class GemmBench
{
    private const int Rows = 60;
    private float* _a;
    private float* _b;
    private float* _c;

    /// <summary>Terms of each sum: the head size.</summary>
    [Params(64, 128)]
    public int Steps { get; set; }

    /// <summary>Makes the matrices.</summary>
    [GlobalSetup]
    public void Setup()
    {
        Random random = new(7);
        _a = Allocate(Rows * Steps);
        _b = Allocate(Steps * Gemm.Pitch);
        _c = Allocate(Rows * Gemm.Pitch);

        float* Allocate(int count)
        {
            float* memory = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);
            for (int i = 0; i < count; i++)
            {
                memory[i] = random.NextSingle();
            }
            return memory;
        }
    }

    /// <summary>Frees them.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        NativeMemory.AlignedFree(_a);
        NativeMemory.AlignedFree(_b);
        NativeMemory.AlignedFree(_c);
    }

    /// <summary>128 bits, whatever the processor has.</summary>
    [Benchmark(Baseline = true)]
    public void Portable() => Run<Vector128F>();

    /// <summary>256 bits.</summary>
    [Benchmark]
    public void Avx2() => Run<Vector256F>();

    /// <summary>512 bits.</summary>
    [Benchmark]
    public void Avx512() => Run<Vector512F>();

    private void Run<V>()
        where V : struct, IVector<V> =>
        Gemm.Multiply<V>(_a, Steps, 1, _b, _c, Rows, Steps, Gemm.Pitch, accumulate: false);
}
