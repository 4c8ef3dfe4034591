using System.Runtime.CompilerServices;
using ILGPU;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// A warp's own ring of stages in shared memory, each with 16 keys and 16 values of a head, copied while earlier ones are worked on. No other warp takes part, so
/// no barrier of the block is needed.
/// </summary>
/// <remarks>
/// What keeps the memory busy is bytes on the way: a multiprocessor of an H100 needs about 25 KB of them (3.35 TB/s, some 1 microsecond). Three stages of D = 128 are 26 KB
/// for each warp, of which two are on the way: 70 KB for a block. Smaller heads have four stages.
/// </remarks>
internal static class KeyRing<H>
    where H : struct, IHead
{
    /// <summary>Keys of a stage.</summary>
    public const int Keys = 16;

    /// <summary>Bytes from one row to the next: 16 more than a row has, so that ldmatrix meets no bank twice.</summary>
    public static int Pitch => (H.Size * 2) + 16;

    /// <summary>Bytes of a stage: keys, then values.</summary>
    public static int StageBytes => 2 * Keys * Pitch;

    /// <summary>Stages of a ring.</summary>
    public static int Stages => H.Size > 80 ? 3 : 4;

    /// <summary>Bytes of a ring.</summary>
    public static int Bytes => Stages * StageBytes;

    /// <summary>Waits until the oldest stage has arrived, for all lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Wait()
    {
        if (Stages == 4)
        {
            AsyncCopy.WaitAllButTwo();
        }
        else
        {
            AsyncCopy.WaitAllButOne();
        }
        Lanes.Synchronise();
    }

    /// <summary>Starts to copy 16 rows of keys or of values.</summary>
    /// <param name="shared">Where they go.</param>
    /// <param name="global">Address of the first row.</param>
    /// <param name="stride">Bytes from one row in global memory to the next.</param>
    /// <param name="begin">First row that is wanted; those before become 0.</param>
    /// <param name="end">End of the rows that are wanted; those after become 0.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(int shared, long global, long stride, int begin, int end)
    {
        if (begin <= 0 && end >= Keys)
        {
            Chunks(shared, global, stride, 0, Keys, isFull: true);
        }
        else
        {
            Chunks(shared, global, stride, begin, end, isFull: false);
        }
    }

    // Eight lanes take 128 bytes of a row, the warp four rows; what a head has beyond a multiple of that is taken by two or four lanes for a row.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Chunks(int shared, long global, long stride, int begin, int end, bool isFull)
    {
        int lane = Group.IdxX & 31, row = lane >> 3, to = shared + (row * Pitch) + ((lane & 7) * 16);
        long from = global + (row * stride) + ((lane & 7) * 16);
        FourRows(to, from, stride, row, begin, end, isFull);
        if (H.Size == 128)
        {
            FourRows(to + 128, from + 128, stride, row, begin, end, isFull);
        }
        if (H.Size == 96)
        {
            row = lane >> 2;
            to = shared + (row * Pitch) + 128 + ((lane & 3) * 16);
            from = global + (row * stride) + 128 + ((lane & 3) * 16);
            Chunk(to, from, row, begin, end, isFull);
            Chunk(to + (8 * Pitch), from + (8 * stride), row + 8, begin, end, isFull);
        }
        if (H.Size == 80)
        {
            row = lane >> 1;
            Chunk(shared + (row * Pitch) + 128 + ((lane & 1) * 16), global + (row * stride) + 128 + ((lane & 1) * 16), row, begin, end, isFull);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FourRows(int to, long from, long stride, int row, int begin, int end, bool isFull)
    {
        Chunk(to, from, row, begin, end, isFull);
        Chunk(to + (4 * Pitch), from + (4 * stride), row + 4, begin, end, isFull);
        Chunk(to + (8 * Pitch), from + (8 * stride), row + 8, begin, end, isFull);
        Chunk(to + (12 * Pitch), from + (12 * stride), row + 12, begin, end, isFull);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Chunk(int to, long from, int row, int begin, int end, bool isFull)
    {
        if (isFull)
        {
            AsyncCopy.Copy(to, from);
        }
        else
        {
            AsyncCopy.Copy(to, from, row >= begin & row < end ? 16 : 0);
        }
    }
}
