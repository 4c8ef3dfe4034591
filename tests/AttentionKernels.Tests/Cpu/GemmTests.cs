using AttentionKernels.Cpu;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cpu;

public sealed unsafe class GemmTests
{
    public static TheoryData<InstructionSet> Sets => AttentionCpuTests.Sets;

    /// <summary>Small integers, whose products and sums float32 holds exactly, so that any error is one of indices. Odd sizes, both strides of A.</summary>
    [Theory]
    [MemberData(nameof(Sets))]
    public void Product_Is_The_Naive_One(InstructionSet set)
    {
        Random random = new(1);
        for (int rows = 0; rows <= 19; rows++)
        {
            foreach (int steps in (int[])[0, 1, 2, 7, 16, 33])
            {
                foreach (int lanes in (int[])[1, 8, 17, 32, 64])
                {
                    Check(rows, steps, lanes, rowMajor: random.Next(2) == 0, accumulate: random.Next(2) == 0, set, random);
                }
            }
        }
    }

    private static void Check(int rows, int steps, int lanes, bool rowMajor, bool accumulate, InstructionSet set, Random random)
    {
        string repro = $"rows {rows}, steps {steps}, lanes {lanes}, row-major {rowMajor}, accumulate {accumulate}";
        const int Gap = 3;
        nint rowStride = rowMajor ? steps + Gap : 1, stepStride = rowMajor ? 1 : rows + Gap;
        using GuardedBuffer a = new((rowMajor ? rows * rowStride : steps * stepStride) * sizeof(float));
        using GuardedBuffer b = new((long)steps * Gemm.Pitch * sizeof(float)), c = new((long)rows * Gemm.Pitch * sizeof(float));
        for (int r = 0; r < rows; r++)
        {
            for (int k = 0; k < steps; k++)
            {
                ((float*)a.Data)[(r * rowStride) + (k * stepStride)] = random.Next(-9, 10);
            }
        }
        foreach (ref float x in b.Span<float>())
        {
            x = random.Next(-9, 10);
        }
        foreach (ref float x in c.Span<float>())
        {
            x = random.Next(-9, 10);
        }
        float[] before = c.Span<float>().ToArray();

        float* pa = (float*)a.Data, pb = (float*)b.Data, pc = (float*)c.Data;
        int width = set switch
        {
            InstructionSet.Avx512 => Run<Vector512F>(),
            InstructionSet.Avx2 => Run<Vector256F>(),
            _ => Run<Vector128F>(),
        };
        for (int r = 0; r < rows; r++)
        {
            for (int lane = 0; lane < Gemm.Pitch; lane++)
            {
                float sum = accumulate || lane >= width ? before[(r * Gemm.Pitch) + lane] : 0;
                for (int k = 0; k < steps && lane < width; k++)
                {
                    sum += pa[(r * rowStride) + (k * stepStride)] * pb[(k * Gemm.Pitch) + lane];
                }
                if (pc[(r * Gemm.Pitch) + lane] != sum)
                {
                    Assert.Fail($"c[{r},{lane}] is {pc[(r * Gemm.Pitch) + lane]}, expected {sum}; {repro}");
                }
            }
        }
        a.CheckMargins("a", repro);
        b.CheckMargins("b", repro);
        c.CheckMargins("c", repro);

        // Lanes that are computed: whole vectors.
        int Run<V>()
            where V : struct, IVector<V>
        {
            Gemm.Multiply<V>(pa, rowStride, stepStride, pb, pc, rows, steps, lanes, accumulate);
            return (lanes + V.Count - 1) / V.Count * V.Count;
        }
    }

    /// <summary>Groups with their own steps, none among them, and rows that fill no block.</summary>
    [Theory]
    [MemberData(nameof(Sets))]
    public void Selected_Product_Is_The_Naive_One_Over_The_Selected_Steps(InstructionSet set)
    {
        Random random = new(2);
        foreach (int rows in (int[])[0, 1, 7, 8, 9, 16, 23, 31, 64])
        {
            for (int repeat = 0; repeat < 10; repeat++)
            {
                CheckSelected(rows, set, random);
            }
        }
    }

    private static void CheckSelected(int rows, InstructionSet set, Random random)
    {
        const int Steps = 64;
        int width = set switch { InstructionSet.Avx512 => 16, InstructionSet.Avx2 => 8, _ => 4 }, groups = random.Next(1, (Gemm.Pitch / width) + 1);
        int stride = rows + 3;
        string repro = $"rows {rows}, groups {groups}";
        using GuardedBuffer a = new((long)Steps * stride * sizeof(float)), c = new((long)Math.Max(rows, 1) * Gemm.Pitch * sizeof(float));
        using GuardedBuffer b = new((long)Steps * Gemm.Pitch * sizeof(float));
        foreach (GuardedBuffer buffer in (GuardedBuffer[])[a, b, c])
        {
            foreach (ref float x in buffer.Span<float>())
            {
                x = random.Next(-9, 10);
            }
        }
        float[] before = c.Span<float>().ToArray();
        float* pa = (float*)a.Data, pb = (float*)b.Data, pc = (float*)c.Data;
        ulong[] steps = [.. Enumerable.Range(0, groups).Select(_ => (ulong)random.NextInt64() & (ulong)random.NextInt64() & (random.Next(4) == 0 ? 0 : ulong.MaxValue))];
        ulong started = (ulong)random.NextInt64();
        fixed (ulong* selected = steps)
        {
            switch (set)
            {
                case InstructionSet.Avx512:
                    Gemm.AddSelected<Vector512F>(pa, stride, selected, pb, pc, rows, groups, started);
                    break;
                case InstructionSet.Avx2:
                    Gemm.AddSelected<Vector256F>(pa, stride, selected, pb, pc, rows, groups, started);
                    break;
                default:
                    Gemm.AddSelected<Vector128F>(pa, stride, selected, pb, pc, rows, groups, started);
                    break;
            }
        }
        for (int r = 0; r < rows; r++)
        {
            for (int lane = 0; lane < Gemm.Pitch; lane++)
            {
                int group = lane / width;
                float sum = group >= groups || steps[group] == 0 || ((started >> group) & 1) != 0 ? before[(r * Gemm.Pitch) + lane] : 0;
                for (int k = 0; k < Steps && group < groups; k++)
                {
                    if (((steps[group] >> k) & 1) != 0)
                    {
                        sum += pa[(k * stride) + r] * pb[(k * Gemm.Pitch) + lane];
                    }
                }
                if (pc[(r * Gemm.Pitch) + lane] != sum)
                {
                    Assert.Fail($"c[{r},{lane}] is {pc[(r * Gemm.Pitch) + lane]}, expected {sum}; {repro}");
                }
            }
        }
        a.CheckMargins("a", repro);
        b.CheckMargins("b", repro);
        c.CheckMargins("c", repro);
    }
}
