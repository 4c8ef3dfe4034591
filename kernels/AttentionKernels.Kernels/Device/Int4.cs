namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Four 32-bit registers: 16 bytes of memory, or what one lane holds of a 16 x 16 operand of 16-bit elements (<see cref="Mma"/>).
/// As element type of dynamic shared memory it makes ILGPU align that to 16 bytes.
/// </summary>
internal struct Int4
{
    public int X, Y, Z, W;
}
