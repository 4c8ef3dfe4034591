using System.Runtime.CompilerServices;
using ILGPU;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// What the four rows that a lane has of two row fragments saw of keys of V_all that are not aligned, over the lane's own keys. It lies in shared memory, since registers do not suffice:
/// the largest logits, then the sums of exponentials, 16 bytes for each thread.
/// </summary>
internal static class BoxedRows
{
    private const int Threads = 128;

    /// <summary>Bytes for the block.</summary>
    public const int Bytes = Threads * 32;

    /// <summary>Where a thread's lie in memory that starts at <paramref name="shared"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Start(int shared)
    {
        int own = shared + (Group.IdxX * 16);
        new Float4 { X = float.NegativeInfinity, Y = float.NegativeInfinity, Z = float.NegativeInfinity, W = float.NegativeInfinity }.StoreShared(own);
        default(Float4).StoreShared(own + (Threads * 16));
        return own;
    }

    /// <summary>Largest logits, not yet in base-2 units, of rows 0, 8, 16, 24; -inf: none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Largest(int own) => Float4.LoadShared(own);

    /// <summary>Sums of exponentials relative to the rows' levels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Sums(int own) => Float4.LoadShared(own + (Threads * 16));

    /// <summary>Makes the sums relative to new levels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Rescale(int own, float upper0, float lower0, float upper1, float lower1)
    {
        Float4 sums = Sums(own);
        new Float4 { X = sums.X * upper0, Y = sums.Y * lower0, Z = sums.Z * upper1, W = sums.W * lower1 }.StoreShared(own + (Threads * 16));
    }

    /// <summary>Takes the logits of a tile.</summary>
    /// <param name="s">Logits of both row fragments.</param>
    /// <param name="boxed">Which of the lane's keys are in V_all: bit 8n + c is its key in fragment n, column c of its two.</param>
    /// <param name="own"><see cref="Start"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddLogits(Fragment[] s, int boxed, int own)
    {
        Float4 largest = Largest(own);
        AddLogits(s[0], s[4], boxed, ref largest);
        AddLogits(s[1], s[5], boxed >> 8, ref largest);
        AddLogits(s[2], s[6], boxed >> 16, ref largest);
        AddLogits(s[3], s[7], boxed >> 24, ref largest);
        largest.StoreShared(own);
    }

    /// <summary>Takes the exponentials of 16 keys, whose first fragment is <paramref name="at"/>. Other parameters as above.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddExponentials(Fragment[] s, int at, int boxed, int own)
    {
        Float4 sums = Sums(own);
        AddExponentials(s[at], s[at + 4], boxed, ref sums);
        AddExponentials(s[at + 1], s[at + 5], boxed >> 8, ref sums);
        sums.StoreShared(own + (Threads * 16));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddLogits(Fragment s, Fragment t, int boxed, ref Float4 largest)
    {
        bool first = (boxed & 1) != 0, second = (boxed & 2) != 0;
        largest.X = Arithmetic.MaxIf(second, Arithmetic.MaxIf(first, largest.X, s.X), s.Y);
        largest.Y = Arithmetic.MaxIf(second, Arithmetic.MaxIf(first, largest.Y, s.Z), s.W);
        largest.Z = Arithmetic.MaxIf(second, Arithmetic.MaxIf(first, largest.Z, t.X), t.Y);
        largest.W = Arithmetic.MaxIf(second, Arithmetic.MaxIf(first, largest.W, t.Z), t.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddExponentials(Fragment s, Fragment t, int boxed, ref Float4 sums)
    {
        bool first = (boxed & 1) != 0, second = (boxed & 2) != 0;
        sums.X = Arithmetic.AddIf(second, Arithmetic.AddIf(first, sums.X, s.X), s.Y);
        sums.Y = Arithmetic.AddIf(second, Arithmetic.AddIf(first, sums.Y, s.Z), s.W);
        sums.Z = Arithmetic.AddIf(second, Arithmetic.AddIf(first, sums.Z, t.X), t.Y);
        sums.W = Arithmetic.AddIf(second, Arithmetic.AddIf(first, sums.W, t.Z), t.W);
    }
}
