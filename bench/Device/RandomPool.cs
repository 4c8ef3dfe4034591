using AttentionKernels.Cuda;

namespace AttentionKernels.Bench.Device;

/// <summary>
/// Normal random numbers (mean 0, variance 1) of one element type, made once on the host. A tensor on the device is the pool from some element on, over and over: the host knows every element
/// without keeping tensors of gigabytes. The pool's length is prime, so that no two rows of a tensor are the same.
/// </summary>
internal sealed unsafe class RandomPool
{
    private const int Length = 1048573;

    // Rows that begin near the end go on here.
    private const int LongestRow = 256;

    private readonly GpuDevice _device;
    private readonly float[] _values = new float[Length + LongestRow];
    private readonly byte* _pinned;
    private readonly int _size;

    /// <summary>Makes the numbers. Their pinned memory, 2 or 4 MiB, lives as long as the process.</summary>
    public RandomPool(GpuDevice device, ElementType type)
    {
        (_device, _size) = (device, type.Size());
        _pinned = (byte*)device.Context.Driver.AllocatePinned((nuint)(Length * _size));
        Random random = new(7);
        for (int i = 0; i < Length; i++)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            type.Store(_pinned, i, (float)(radius * Math.Cos(2 * Math.PI * random.NextDouble())));
            _values[i] = type.Load(_pinned, i);
        }
        _values.AsSpan(0, LongestRow).CopyTo(_values.AsSpan(Length));
    }

    /// <summary>Writes a tensor.</summary>
    /// <param name="target">Device memory.</param>
    /// <param name="elements">How many.</param>
    /// <param name="first">Where in the pool the tensor begins.</param>
    public void Fill(void* target, long elements, int first)
    {
        long at = 0;
        int from = first % Length;
        while (at < elements)
        {
            long count = Math.Min(Length - from, elements - at);
            _device.Context.Driver.Upload((long)target + (at * _size), _pinned + ((long)from * _size), (nuint)(count * _size), _device.Stream);
            at += count;
            from = 0;
        }
        _device.Driver.Synchronize(_device.Stream);
    }

    /// <summary>What a tensor has.</summary>
    /// <param name="first">Where in the pool it begins.</param>
    /// <param name="element">Which element.</param>
    /// <param name="size">How many from there on, at most 256.</param>
    public ReadOnlySpan<float> Row(int first, long element, int size) => _values.AsSpan((int)((first + element) % Length), size);
}
