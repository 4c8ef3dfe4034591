namespace AttentionKernels.Kernels.Device;

/// <summary>
/// What one lane holds of a 16 x 8 float32 accumulator. With g = lane / 4 and t = lane % 4: (X, Y) is row g, columns 2t and 2t + 1;
/// (Z, W) is row g + 8, the same columns.
/// </summary>
internal struct Fragment
{
    public float X, Y, Z, W;
}
