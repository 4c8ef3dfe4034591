namespace AttentionKernels;

/// <summary>
/// Roles of the tokens of a sequence, for each batch element: modality, speakers, frame span. They decide, without looking at any
/// value, which rows the social bias concerns and which keys it raises. Memory is the caller's and must outlive the call.
/// </summary>
/// <remarks>
/// The reach of a token in time is [first, end) in frames; an empty span overlaps nothing. Speakers are a bit mask because
/// boxes overlap: one visual token may belong to several people.
/// </remarks>
public unsafe struct TokenRoles
{
    /// <summary>[B, Length] values of <see cref="AttentionKernels.Modality"/>; null when there are no roles.</summary>
    public byte* Modality;

    /// <summary>[B, Length] bit masks: bit n is speaker n; 0 is nobody. Never negative.</summary>
    public long* Speakers;

    /// <summary>[B, Length, 2] first frame and end frame (exclusive).</summary>
    public int* Frames;

    /// <summary>Tokens per batch element.</summary>
    public int Length;

    /// <summary>Whether there are no roles.</summary>
    public readonly bool IsEmpty => Modality == null;

    /// <summary>Whether token <paramref name="t"/> is text that somebody speaks: a row of U.</summary>
    internal readonly bool IsSpokenText(int b, int t)
    {
        long i = ((long)b * Length) + t;
        return Modality[i] == (byte)AttentionKernels.Modality.Text && Speakers[i] != 0;
    }

    /// <summary>Whether token <paramref name="t"/> is a visual token inside somebody's box: a key of V_all.</summary>
    internal readonly bool IsBoxedVisual(int b, int t)
    {
        long i = ((long)b * Length) + t;
        return Modality[i] == (byte)AttentionKernels.Modality.Visual && Speakers[i] != 0;
    }

    /// <summary>Checks the values: known modality, no negative mask, no speaker from <paramref name="speakers"/> on, no span that ends before it starts.</summary>
    /// <returns>The first fault as a sentence that names the token, or null.</returns>
    internal readonly string? FindFault(int batch, int speakers)
    {
        long outside = speakers >= 63 ? long.MinValue : ~((1L << speakers) - 1);
        for (int b = 0; b < batch; b++)
        {
            for (int t = 0; t < Length; t++)
            {
                long i = ((long)b * Length) + t;
                if (Modality[i] is > (byte)AttentionKernels.Modality.Generated and not (byte)AttentionKernels.Modality.Padding)
                {
                    return $"modality[{b},{t}] is {Modality[i]}, expected 0 (text), 1 (visual), 2 (audio), 3 (system), 4 (generated) or 255 (padding)";
                }
                if ((Speakers[i] & outside) != 0)
                {
                    return $"speakers[{b},{t}] is 0x{Speakers[i]:x}, expected only the lowest {speakers} bits";
                }
                if (Frames[(2 * i) + 1] < Frames[2 * i])
                {
                    return $"frames[{b},{t}] is [{Frames[2 * i]},{Frames[(2 * i) + 1]}), expected an end that is not before its start";
                }
            }
        }
        return null;
    }
}
