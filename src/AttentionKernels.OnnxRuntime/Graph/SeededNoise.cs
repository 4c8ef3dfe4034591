namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>
/// A stream of pseudo-random numbers in which element i is a pure function of (seed, name, i): the same on every machine, in any
/// order, on any number of threads. SplitMix64 whitens the counter.
/// </summary>
/// <remarks>
/// Bell-shaped numbers are sums of four 16-bit uniforms rather than Box-Muller pairs: integer arithmetic and one rounding, so no
/// mathematical library has a say in the last bit. They end at 3.46 standard deviations, which weights do not mind.
/// </remarks>
internal readonly struct SeededNoise
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    // Sum of four uniforms on 0..65535: mean 4 * 65535 / 2, variance 4 * (65536^2 - 1) / 12.
    private const int LaneMean = 2 * 65535;
    private const float LaneScale = 1f / 37837.2268f;

    private readonly ulong _state;

    /// <summary>The stream called <paramref name="name"/> of <paramref name="seed"/>.</summary>
    public SeededNoise(ulong seed, string name)
    {
        // FNV-1a: string.GetHashCode differs from process to process.
        ulong hash = 0xCBF29CE484222325;
        foreach (char c in name)
        {
            hash = (hash ^ c) * 0x100000001B3;
        }
        _state = Mix(Mix(seed) ^ hash);
    }

    /// <summary>64 random bits.</summary>
    public ulong Bits(long i) => Mix(_state + ((ulong)i * Golden));

    /// <summary>Uniform on [0, 1), a multiple of 2^-24.</summary>
    public float Uniform(long i) => (Bits(i) >> 40) * (1f / (1 << 24));

    /// <summary>Mean 0, variance 1, bell-shaped.</summary>
    public float Normal(long i)
    {
        ulong bits = Bits(i);
        int sum = (int)(bits & 0xFFFF) + (int)((bits >> 16) & 0xFFFF) + (int)((bits >> 32) & 0xFFFF) + (int)(bits >> 48);
        return (sum - LaneMean) * LaneScale;
    }

    private static ulong Mix(ulong z)
    {
        z += Golden;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
