namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A function that the device computes approximately, with the error that its documentation allows.</summary>
/// <param name="Name">Opcode.</param>
/// <param name="Exact">The function in float64; the second argument is the divisor of div.</param>
/// <param name="Error">
/// Largest error: relative in units of 2^-23, or absolute. PTX ISA: ex2 2^-22 relative; lg2 2^-22 absolute near 1 and relative
/// elsewhere; rcp 1 ulp; sqrt 2^-23 relative; rsqrt 2^-22.9 relative; sin and cos 2^-20.5 absolute for arguments to 2 pi; tanh 2^-11
/// relative; div 2 ulp.
/// </param>
/// <param name="Absolute">Whether the error is absolute.</param>
internal sealed record Approximation(string Name, Func<double, double, double> Exact, double Error, bool Absolute)
{
    private const double Ulp = 1.0 / (1 << 23);

    public static Approximation Of(string opcode) => opcode switch
    {
        "ex2" => new(opcode, (x, _) => Math.Pow(2, x), 2, false),
        "lg2" => new(opcode, (x, _) => Math.Log2(x), 2, true),
        "rcp" => new(opcode, (x, _) => 1 / x, 1, false),
        "sqrt" => new(opcode, (x, _) => Math.Sqrt(x), 1, false),
        "rsqrt" => new(opcode, (x, _) => 1 / Math.Sqrt(x), Math.Pow(2, 0.1), false),
        "sin" => new(opcode, (x, _) => Math.Sin(x), Math.Pow(2, 2.5), true),
        "cos" => new(opcode, (x, _) => Math.Cos(x), Math.Pow(2, 2.5), true),
        _ => new("tanh", (x, _) => Math.Tanh(x), 1 << 12, false),
    };

    /// <summary>
    /// The result rounded to float32; with a seed moved by an error within the bound that depends on seed, function and argument only.
    /// Zeros, infinities and results that are exact for every implementation (2^0) stay as they are.
    /// </summary>
    public float Round(double exact, float x, int? seed)
    {
        if (seed is not int s || !double.IsFinite(exact) || exact == 0 || x == 0)
        {
            return (float)exact;
        }
        uint hash = (uint)HashOf(s) ^ BitConverter.SingleToUInt32Bits(x);
        hash = (hash ^ (hash >> 16)) * 0x7feb_352du;
        hash = (hash ^ (hash >> 15)) * 0x846c_a68bu;
        hash ^= hash >> 16;
        // Half an ulp of the bound is left for the rounding to float32.
        double error = ((hash / (double)uint.MaxValue * 2) - 1) * Math.Max(0.25, Error - 0.5) * Ulp;
        return (float)(Absolute ? exact + error : exact * (1 + error));
    }

    private int HashOf(int seed)
    {
        int hash = seed;
        foreach (char c in Name)
        {
            hash = (hash * 31) + c;
        }
        return hash;
    }
}
