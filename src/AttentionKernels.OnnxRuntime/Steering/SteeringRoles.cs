using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace AttentionKernels.OnnxRuntime.Steering;

/// <summary>Roles of the tokens of a batch, copied and checked once. Immutable: any number of scopes on any threads may share one.</summary>
public sealed unsafe partial class SteeringRoles
{
    private const int MaxSpeakers = 63;

    // On the pinned heap: kernels read them through pointers.
    private readonly byte[] _modality;
    private readonly long[] _speakers;
    private readonly int[] _frames;

    /// <summary>Copies roles.</summary>
    /// <param name="batch">B, 1 or more.</param>
    /// <param name="modality">[B, T] values of <see cref="Modality"/>.</param>
    /// <param name="speakers">[B, T] bit masks: bit n is speaker n, 0 is nobody.</param>
    /// <param name="frames">[B, T, 2] first frame and end frame (exclusive).</param>
    /// <exception cref="ArgumentException">The lengths do not fit together, or a value is not possible; the message names the token.</exception>
    public SteeringRoles(int batch, ReadOnlySpan<byte> modality, ReadOnlySpan<long> speakers, ReadOnlySpan<int> frames)
        : this(batch, Count(batch, modality.Length, speakers.Length, frames.Length))
    {
        modality.CopyTo(_modality);
        speakers.CopyTo(_speakers);
        frames.CopyTo(_frames);
        if (View.FindFault(batch, MaxSpeakers) is string fault)
        {
            throw new ArgumentException(fault);
        }
    }

    private SteeringRoles(int batch, int length)
    {
        (Batch, Length) = (batch, length);
        _modality = GC.AllocateUninitializedArray<byte>(checked(batch * length), pinned: true);
        _speakers = GC.AllocateUninitializedArray<long>(batch * length, pinned: true);
        _frames = GC.AllocateUninitializedArray<int>(checked(batch * length * 2), pinned: true);
    }

    /// <summary>B.</summary>
    public int Batch { get; }

    /// <summary>Tokens of each batch element, T.</summary>
    public int Length { get; }

    /// <summary>The arrays as kernels take them; valid as long as this object lives.</summary>
    internal TokenRoles View => new()
    {
        Modality = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_modality)),
        Speakers = (long*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_speakers)),
        Frames = (int*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_frames)),
        Length = Length,
    };

    /// <summary>The first <paramref name="length"/> tokens of each batch element; tokens beyond the end are generated text of nobody.</summary>
    internal SteeringRoles Resize(int length)
    {
        SteeringRoles resized = new(Batch, length);
        int kept = Math.Min(Length, length);
        for (int b = 0; b < Batch; b++)
        {
            int from = b * Length, to = b * length;
            _modality.AsSpan(from, kept).CopyTo(resized._modality.AsSpan(to));
            _speakers.AsSpan(from, kept).CopyTo(resized._speakers.AsSpan(to));
            _frames.AsSpan(from * 2, kept * 2).CopyTo(resized._frames.AsSpan(to * 2));
            resized._modality.AsSpan(to + kept, length - kept).Fill((byte)Modality.Generated);
            resized._speakers.AsSpan(to + kept, length - kept).Clear();
            resized._frames.AsSpan((to + kept) * 2, (length - kept) * 2).Clear();
        }
        return resized;
    }

    private static int Count(int batch, int modality, int speakers, int frames)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        return modality % batch == 0 && speakers == modality && frames == 2L * modality
            ? modality / batch
            : throw new ArgumentException(
                $"modality, speakers and frames have {modality}, {speakers} and {frames} elements, expected B * T, B * T and B * T * 2 with B = {batch}");
    }
}
