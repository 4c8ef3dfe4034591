namespace AttentionKernels.Cpu;

/// <summary>What the pass leaves behind for a row of U and one head: its part of the score and of the alignment metrics. 0 for a row that sees no key.</summary>
internal struct SpokenRow
{
    /// <summary>Probability of V_all without the bias.</summary>
    public double Visual;

    /// <summary>Probability of all aligned keys without the bias, and with it.</summary>
    public double Aligned, BiasedAligned;

    /// <summary>Largest probability of an aligned key without the bias, and with it.</summary>
    public double Largest, BiasedLargest;
}
