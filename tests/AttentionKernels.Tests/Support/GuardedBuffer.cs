using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace AttentionKernels.Tests.Support;

/// <summary>
/// Native memory between two margins of NaN bits. A kernel that reads outside gets NaN into its results, one that writes outside is
/// found by <see cref="CheckMargins"/>.
/// </summary>
internal sealed unsafe class GuardedBuffer : IDisposable
{
    private const int Margin = 256;
    private const byte Canary = 0xff;   // all ones is NaN in float32 and float16, and -1 as an integer

    private readonly byte* _memory;
    private readonly long _bytes;

    public GuardedBuffer(long bytes)
    {
        _bytes = bytes;
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)(bytes + (2 * Margin)), 64);
        new Span<byte>(_memory, checked((int)(bytes + (2 * Margin)))).Fill(Canary);
    }

    public void* Data => _memory + Margin;

    public long Bytes => _bytes;

    public static GuardedBuffer Of<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        GuardedBuffer buffer = new((long)values.Length * sizeof(T));
        values.CopyTo(buffer.Span<T>());
        return buffer;
    }

    public Span<T> Span<T>()
        where T : unmanaged => new(Data, (int)(_bytes / sizeof(T)));

    /// <summary>Fills the inside with NaN bits, too.</summary>
    public void Fill() => Span<byte>().Fill(Canary);

    public void CheckMargins(string name, string repro)
    {
        bool intact = new ReadOnlySpan<byte>(_memory, Margin).IndexOfAnyExcept(Canary) < 0
            && new ReadOnlySpan<byte>(_memory + Margin + _bytes, Margin).IndexOfAnyExcept(Canary) < 0;
        Assert.True(intact, $"memory around {name} was overwritten; {repro}");
    }

    public void Dispose() => NativeMemory.AlignedFree(_memory);
}
