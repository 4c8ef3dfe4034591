using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>The gate: each head's score and alignment metrics from the partials of its rows of U.</summary>
/// <remarks>
/// One block for each (h, b), grid = (H, B). Thread n sums rows n, n + 128, ... of U; lanes, then warps are added in a fixed order.
/// <code>
/// in   stats        [H, U, 8] float32     see <see cref="SpokenStats"/>; U counts over the whole batch
///      spokenStart  [B + 1] int32         rows of U of each batch element
///      boxedCount   [B] int32             |V_all|
///      run          [U] int32             utterance of a row
///      alignedKeys  [runs] int32          keys aligned with it, hidden ones included
///      headSink     [H] float32           0: none
///      headScoresIn [B, H] float32        decide which heads are active; 0: this call's scores do
/// out  headScores   [B, H] float32
///      alignment    [B, H, 4] float32     mean before, mean after, max before, max after; 0: not wanted
/// </code>
/// </remarks>
internal static class HeadScoresKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    private const int Warps = Threads / 32;

    /// <summary>Bytes of shared memory that a warp's sums take: mass, means, maxima, rows counted, and two to keep 16-byte alignment.</summary>
    private const int WarpBytes = 32;

    /// <summary>Dynamic shared memory in bytes.</summary>
    public const int SharedBytes = Warps * WarpBytes;

    public static void Run(
        long stats, long spokenStart, long boxedCount, long run, long alignedKeys, long headSink, long headScoresIn, long headScores, long alignment,
        float lambda, float alpha, int clampNegative, int heads, int spoken)
    {
        int shared = BlockMemory.Start();
        int h = Grid.IdxX, b = Grid.IdxY, head = (b * heads) + h, thread = Group.IdxX;
        int first = GlobalMemory.LoadInt(spokenStart + (b * 4L)), end = GlobalMemory.LoadInt(spokenStart + (b * 4L) + 4);
        float sink = Softmax.Sink(headSink, h);

        float mass = 0f, meanBefore = 0f, meanAfter = 0f, maxBefore = 0f, maxAfter = 0f, counted = 0f;
        for (int u = first + thread; u < end; u += Threads)
        {
            SpokenStats row = SpokenStats.Load(stats + ((((long)h * spoken) + u) * SpokenStats.Bytes));
            SpokenWeights before = SpokenWeights.Of(row, sink, 0f, 0);
            mass += before.BoxedMass;
            int keys = GlobalMemory.LoadInt(alignedKeys + (GlobalMemory.LoadInt(run + (u * 4L)) * 4L));
            if (keys > 0)
            {
                SpokenWeights after = SpokenWeights.Of(row, sink, alpha, clampNegative);
                counted += 1f;
                meanBefore += Arithmetic.Divide(before.AlignedMass, keys);
                meanAfter += Arithmetic.Divide(after.AlignedMass, keys);
                maxBefore += before.Largest;
                maxAfter += after.Largest;
            }
        }

        mass = Lanes.Sum(mass);
        meanBefore = Lanes.Sum(meanBefore);
        meanAfter = Lanes.Sum(meanAfter);
        maxBefore = Lanes.Sum(maxBefore);
        maxAfter = Lanes.Sum(maxAfter);
        counted = Lanes.Sum(counted);
        if ((thread & 31) == 0)
        {
            int mine = shared + ((thread >> 5) * WarpBytes);
            new Float4 { X = meanBefore, Y = meanAfter, Z = maxBefore, W = maxAfter }.StoreShared(mine);
            new Float4 { X = mass, Y = counted }.StoreShared(mine + 16);
        }
        Group.Barrier();
        if (thread == 0)
        {
            Float4 metrics = Float4.LoadShared(shared), counts = Float4.LoadShared(shared + 16);
            for (int warp = 1; warp < Warps; warp++)
            {
                Float4 moreMetrics = Float4.LoadShared(shared + (warp * WarpBytes)), moreCounts = Float4.LoadShared(shared + (warp * WarpBytes) + 16);
                metrics.X += moreMetrics.X;
                metrics.Y += moreMetrics.Y;
                metrics.Z += moreMetrics.Z;
                metrics.W += moreMetrics.W;
                counts.X += moreCounts.X;
                counts.Y += moreCounts.Y;
            }
            float pairs = (float)(end - first) * GlobalMemory.LoadInt(boxedCount + (b * 4L));
            float score = pairs == 0 ? 0f : Arithmetic.Divide(counts.X, pairs);
            GlobalMemory.Store(headScores + (head * 4L), score);
            if (alignment != 0)
            {
                float gate = headScoresIn == 0 ? score : GlobalMemory.LoadFloat(headScoresIn + (head * 4L));
                bool active = gate > lambda;
                float rows = Arithmetic.Max(counts.Y, 1f);
                float mean = Arithmetic.Divide(metrics.X, rows), max = Arithmetic.Divide(metrics.Z, rows);
                new Float4
                {
                    X = mean,
                    Y = active ? Arithmetic.Divide(metrics.Y, rows) : mean,
                    Z = max,
                    W = active ? Arithmetic.Divide(metrics.W, rows) : max,
                }.StoreGlobal(alignment + (head * 16L));
            }
        }
    }
}
