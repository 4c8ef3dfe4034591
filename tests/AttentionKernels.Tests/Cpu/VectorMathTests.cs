using AttentionKernels.Cpu;

namespace AttentionKernels.Tests.Cpu;

public sealed unsafe class VectorMathTests
{
    /// <summary>A prime, so that every exponent and every low bit of the mantissa comes up: 12 million floats of the range.</summary>
    private const int Stride = 97;

    public static TheoryData<InstructionSet> Sets => AttentionCpuTests.Sets;

    [Theory]
    [MemberData(nameof(Sets))]
    public void Exp_Is_Within_Two_Ulp(InstructionSet set) => CheckAll(-87.3f, set, exp: true, Math.Exp, 2);

    [Theory]
    [MemberData(nameof(Sets))]
    public void Tanh_Is_Within_Two_Ulp(InstructionSet set)
    {
        CheckAll(-12f, set, exp: false, Math.Tanh, 2);
        float[] x = [-0.3f, 0.3f, -0.7f, 0.7f, -5, 5];
        float[] y = Apply(x, set, exp: false);
        Assert.Equal([y[1], y[3], y[5]], [-y[0], -y[2], -y[4]]);
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public void Special_Values(InstructionSet set)
    {
        Assert.Equal([1, 1, 0, 0, 0, float.NaN], Apply([0, -0f, float.NegativeInfinity, float.MinValue, -87.34f, float.NaN], set, exp: true));
        Assert.Equal([0, 1, -1, 1, -1, float.NaN], Apply([0, float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, float.MinValue, float.NaN], set, exp: false));
    }

    /// <summary>Floats from -0 down to <paramref name="last"/>.</summary>
    private static void CheckAll(float last, InstructionSet set, bool exp, Func<double, double> truth, double ulps)
    {
        uint first = BitConverter.SingleToUInt32Bits(-0f), end = BitConverter.SingleToUInt32Bits(last);
        float[] x = new float[1 << 16];
        for (uint bits = first; bits <= end;)
        {
            int count = 0;
            for (; count < x.Length && bits <= end; bits += Stride)
            {
                x[count++] = BitConverter.UInt32BitsToSingle(bits);
            }
            float[] y = Apply(x, set, exp);
            for (int i = 0; i < count; i++)
            {
                double expected = truth(x[i]);
                double ulp = MathF.BitIncrement(MathF.Abs((float)expected)) - MathF.Abs((float)expected);
                if (!(Math.Abs(y[i] - expected) <= ulps * ulp))
                {
                    Assert.Fail($"f({x[i]:R}) is {y[i]:R}, expected {expected:R}: {Math.Abs(y[i] - expected) / ulp:F2} ulp");
                }
            }
        }
    }

    private static float[] Apply(float[] x, InstructionSet set, bool exp)
    {
        float[] padded = new float[(x.Length + 15) / 16 * 16];
        x.CopyTo(padded, 0);
        fixed (float* at = padded)
        {
            switch (set)
            {
                case InstructionSet.Avx512:
                    Apply<Vector512F>(at, padded.Length, exp);
                    break;
                case InstructionSet.Avx2:
                    Apply<Vector256F>(at, padded.Length, exp);
                    break;
                default:
                    Apply<Vector128F>(at, padded.Length, exp);
                    break;
            }
        }
        return padded[..x.Length];
    }

    private static void Apply<V>(float* x, int count, bool exp)
        where V : struct, IVector<V>
    {
        for (int i = 0; i < count; i += V.Count)
        {
            V.Store(exp ? VectorMath.Exp(V.Load(x + i)) : VectorMath.Tanh(V.Load(x + i)), x + i);
        }
    }
}
