using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Steering;

namespace AttentionKernels.Native;

/// <summary>attention_kernels_roles of the C interface.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeRoles
{
    public nuint StructSize;
    public int Batch;
    public int Length;
    public byte* Modality;
    public long* Speakers;
    public int* Frames;

    /// <summary>Copies and checks the roles.</summary>
    /// <exception cref="ArgumentException">A size, pointer or role is not possible.</exception>
    public readonly SteeringRoles Read()
    {
        NativeCall.CheckSize(StructSize, sizeof(NativeRoles), "attention_kernels_roles");
        if (Batch < 1 || Length < 0 || 2L * Batch * Length > int.MaxValue)
        {
            throw new ArgumentException($"batch is {Batch} and length {Length}, expected 1 or more, 0 or more, and at most {int.MaxValue} frame numbers in all");
        }
        int count = Batch * Length;
        if (count > 0 && (Modality == null || Speakers == null || Frames == null))
        {
            throw new ArgumentException("modality, speakers or frames is null, expected arrays of batch * length tokens");
        }
        return new SteeringRoles(Batch, new ReadOnlySpan<byte>(Modality, count), new ReadOnlySpan<long>(Speakers, count), new ReadOnlySpan<int>(Frames, 2 * count));
    }
}
