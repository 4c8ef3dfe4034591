using System.Runtime.CompilerServices;
using ILGPU;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Rows of one head in shared memory: <see cref="Rows"/> keys or values, or as many query rows. For blocks of 128 threads.
/// </summary>
/// <remarks>
/// A row takes 16 bytes more than it has. So the eight rows that one phase of ldmatrix reads begin in different groups of four banks, for every head size, and each address
/// is one register plus a constant; with an exclusive-or of the chunk's number, which needs no padding, every step would compute its own.
/// </remarks>
internal static class HeadTile<H>
    where H : struct, IHead
{
    /// <summary>Rows that a copy brings.</summary>
    public const int Rows = 32;

    /// <summary>Bytes from one row in shared memory to the next.</summary>
    public static int Pitch => (H.Size * 2) + 16;

    /// <summary>Bytes of 32 rows.</summary>
    public static int Bytes => Rows * Pitch;

    /// <summary>Where a thread begins to write rows that start at <paramref name="shared"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int To(int shared) => shared + ((Group.IdxX >> 3) * Pitch) + ((Group.IdxX & 7) * 16);

    /// <summary>Where a thread begins to read rows that start at address <paramref name="global"/> and lie <paramref name="stride"/> bytes apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long From(long global, long stride) => global + ((Group.IdxX >> 3) * stride) + ((Group.IdxX & 7) * 16);

    /// <summary>Starts to copy 64 query rows.</summary>
    /// <param name="shared">Where they go.</param>
    /// <param name="query">Address of row 0.</param>
    /// <param name="stride">Elements from one row in global memory to the next.</param>
    /// <param name="first">First row.</param>
    /// <param name="end">End of the rows that exist; those from there on become 0.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void CopyQuery(int shared, long query, long stride, int first, int end)
    {
        long from = From(query + (first * stride * 2), stride * 2);
        Copy(To(shared), from, stride * 2, end - first);
        Copy(To(shared) + Bytes, from + (Rows * stride * 2), stride * 2, end - first - Rows);
    }

    /// <summary>Starts to copy 32 rows. All threads of the block take part, each with its own <paramref name="to"/> and <paramref name="from"/>.</summary>
    /// <param name="to"><see cref="To"/> of where the rows go.</param>
    /// <param name="from"><see cref="From"/> of the first row.</param>
    /// <param name="stride">Bytes from one row in global memory to the next.</param>
    /// <param name="valid">Rows that exist, any number; those after them become 0.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(int to, long from, long stride, int valid)
    {
        // Eight threads take 128 bytes of a row, a warp four rows; what a head has beyond a multiple of that is taken by two or four threads for a row.
        int row = Group.IdxX >> 3;
        Chunk(to, from, valid > row);
        Chunk(to + (16 * Pitch), from + (16 * stride), valid > row + 16);
        if (H.Size == 128)
        {
            Chunk(to + 128, from + 128, valid > row);
            Chunk(to + (16 * Pitch) + 128, from + (16 * stride) + 128, valid > row + 16);
        }
        if (H.Size == 96)
        {
            int otherRow = RestRow(Group.IdxX >> 2), rows = otherRow - row, column = 128 + ((Group.IdxX & 3) * 16) - ((Group.IdxX & 7) * 16);
            Chunk(to + (rows * Pitch) + column, from + (rows * stride) + column, valid > otherRow);
        }
        if (H.Size == 80 && Group.IdxX < 2 * Rows)
        {
            int otherRow = RestRow(Group.IdxX >> 1), rows = otherRow - row, column = 128 + ((Group.IdxX & 1) * 16) - ((Group.IdxX & 7) * 16);
            Chunk(to + (rows * Pitch) + column, from + (rows * stride) + column, valid > otherRow);
        }
    }

    /// <summary>
    /// Which row the n-th two (D = 80) or four (D = 96) threads take when they take what a row has beyond 128 bytes: an order of eight rows in which any eight threads meet different banks.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int RestRow(int n) => H.Size == 80 ? (n & -8) | ((n & 3) << 1) | ((n >> 2) & 1) : (n & -8) | ((n & 1) << 2) | ((n >> 1) & 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Chunk(int to, long from, bool isValid) => AsyncCopy.Copy(to, from, isValid ? 16 : 0);
}
