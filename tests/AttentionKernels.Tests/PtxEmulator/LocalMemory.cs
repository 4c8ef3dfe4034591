using System.Runtime.InteropServices;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>.local memory of the 32 threads of a warp, with a mask of the threads for which each byte has a value.</summary>
internal sealed unsafe class LocalMemory(int bytes) : IDisposable
{
    private readonly byte* _data = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, bytes) * 32, 64);
    private readonly uint[] _hasValue = new uint[bytes];

    public int Bytes { get; } = bytes;

    public void Clear() => Array.Clear(_hasValue);

    public byte* Pointer(int lane, int offset) => _data + ((long)lane * Bytes) + offset;

    public void Write(int lane, int offset, int bytes)
    {
        foreach (ref uint mask in _hasValue.AsSpan(offset, bytes))
        {
            mask |= 1u << lane;
        }
    }

    public bool HasValues(int lane, int offset, int bytes)
    {
        foreach (uint mask in _hasValue.AsSpan(offset, bytes))
        {
            if ((mask >> lane & 1) == 0)
            {
                return false;
            }
        }
        return true;
    }

    public void Dispose() => NativeMemory.AlignedFree(_data);
}
