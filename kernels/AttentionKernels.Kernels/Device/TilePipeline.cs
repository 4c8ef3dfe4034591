using System.Runtime.CompilerServices;
using ILGPU;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Brings tiles of keys, and of values, into two buffers in shared memory: the next tile comes while one is worked on. A buffer holds <see cref="HeadTile{H}.Bytes"/> of keys, then
/// as many of values.
/// </summary>
internal struct TilePipeline
{
    /// <summary>From where the thread reads of the tile that comes next.</summary>
    private long _key, _value;

    /// <summary>Bytes from one row in global memory to the next.</summary>
    private long _keyStride, _valueStride;

    /// <summary>Where the thread writes to in the first buffer.</summary>
    private int _to;

    /// <summary>Valid keys.</summary>
    private int _keys;

    /// <summary>Bytes of a buffer.</summary>
    private int _size;

    /// <summary>Bytes from the first buffer to the one of the present tile.</summary>
    public int Buffer;

    /// <summary>Starts to copy the first tile.</summary>
    /// <param name="shared">The buffers.</param>
    /// <param name="key">Address of key 0 of the head.</param>
    /// <param name="keyStride">Elements from one key to the next.</param>
    /// <param name="value">Address of value 0 of the head.</param>
    /// <param name="valueStride">Elements from one value to the next.</param>
    /// <param name="first">First key of the first tile.</param>
    /// <param name="keys">Valid keys.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TilePipeline Start<H>(int shared, long key, long keyStride, long value, long valueStride, int first, int keys)
        where H : struct, IHead
    {
        TilePipeline p = Of<H>(shared, key, keyStride, first, keys);
        p._value = HeadTile<H>.From(value + (first * valueStride * 2), valueStride * 2);
        p._valueStride = valueStride * 2;
        p._size = 2 * HeadTile<H>.Bytes;
        p.Buffer = p._size;
        Copy<H>(ref p, 0, first);
        return p;
    }

    /// <summary>As the other, without values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TilePipeline Start<H>(int shared, long key, long keyStride, int first, int keys)
        where H : struct, IHead
    {
        TilePipeline p = Of<H>(shared, key, keyStride, first, keys);
        p._size = HeadTile<H>.Bytes;
        p.Buffer = p._size;
        Copy<H>(ref p, 0, first);
        return p;
    }

    /// <summary>Waits for all that was copied before the first <see cref="Next"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WaitForQuery()
    {
        AsyncCopy.WaitAll();
        Group.Barrier();
    }

    /// <summary>Waits for the tile at key <paramref name="first"/> and starts to copy the next one, if it starts before <paramref name="end"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Next<H>(ref TilePipeline p, int first, int end)
        where H : struct, IHead
    {
        AsyncCopy.WaitAll();
        Group.Barrier(); // this tile is there for all, and nobody reads the last one any more
        if (first + HeadTile<H>.Rows < end)
        {
            Copy<H>(ref p, p.Buffer, first + HeadTile<H>.Rows);
        }
        p.Buffer = p._size - p.Buffer;
    }

    /// <summary>Leaves out keys: the tile that comes next is <paramref name="keys"/> later than it would be.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Skip(ref TilePipeline p, int keys)
    {
        p._key += keys * p._keyStride;
        p._value += keys * p._valueStride;
    }

    /// <summary>Starts again to copy a first tile, at the key that would come next. All threads are done with the buffers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Restart<H>(ref TilePipeline p, int first)
        where H : struct, IHead
    {
        p.Buffer = p._size;
        Copy<H>(ref p, 0, first);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TilePipeline Of<H>(int shared, long key, long keyStride, int first, int keys)
        where H : struct, IHead => new()
        {
            _keyStride = keyStride * 2,
            _key = HeadTile<H>.From(key + (first * keyStride * 2), keyStride * 2),
            _to = HeadTile<H>.To(shared),
            _keys = keys,
        };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy<H>(ref TilePipeline p, int buffer, int first)
        where H : struct, IHead
    {
        HeadTile<H>.Copy(p._to + buffer, p._key, p._keyStride, p._keys - first);
        p._key += HeadTile<H>.Rows * p._keyStride;
        if (p._size == 2 * HeadTile<H>.Bytes)
        {
            HeadTile<H>.Copy(p._to + buffer + HeadTile<H>.Bytes, p._value, p._valueStride, p._keys - first);
            p._value += HeadTile<H>.Rows * p._valueStride;
        }
        AsyncCopy.Commit();
    }
}
