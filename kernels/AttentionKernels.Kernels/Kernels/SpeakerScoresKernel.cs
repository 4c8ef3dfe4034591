using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>Each head's score by speaker: the mean probability over pairs of a row of U and a key of V_all that share the speaker.</summary>
/// <remarks>
/// One block for each (h, b, n), grid = (H, B, speakers). A row that shares several speakers with keys has left partials for each of them, in which only that speaker's keys are aligned. Thread t
/// sums entries t, t + 128, ...; lanes, then warps are added in a fixed order.
/// <code>
/// in   stats         [H, spoken, 8] float32     see <see cref="SpokenStats"/>
///      speakerStart  [B * speakers + 1] int32   where the entries of an element and speaker begin in speakerRows
///      speakerRows   [entries] int32            rows of stats
///      speakerPairs  [B, speakers] float32      number of pairs; 0: the score is 0
///      headSink      [H] float32                0: none
/// out  speakerScores [B, H, speakers] float32
/// </code>
/// </remarks>
internal static class SpeakerScoresKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    private const int Warps = Threads / 32;

    /// <summary>Dynamic shared memory in bytes: a sum for each warp.</summary>
    public const int SharedBytes = Warps * sizeof(float);

    public static void Run(long stats, long speakerStart, long speakerRows, long speakerPairs, long headSink, long speakerScores, int spoken)
    {
        int shared = BlockMemory.Start();
        int h = Grid.IdxX, thread = Group.IdxX, speakers = Grid.DimZ, group = (Grid.IdxY * speakers) + Grid.IdxZ;
        int first = GlobalMemory.LoadInt(speakerStart + (group * 4L)), end = GlobalMemory.LoadInt(speakerStart + (group * 4L) + 4);
        float sink = Softmax.Sink(headSink, h), mass = 0f;
        for (int n = first + thread; n < end; n += Threads)
        {
            int row = GlobalMemory.LoadInt(speakerRows + (n * 4L));
            mass += SpokenWeights.Of(SpokenStats.Load(stats + ((((long)h * spoken) + row) * SpokenStats.Bytes)), sink, 0f, 0).AlignedMass;
        }
        mass = Lanes.Sum(mass);
        if ((thread & 31) == 0)
        {
            BlockMemory.Store(shared + ((thread >> 5) * 4), mass);
        }
        Group.Barrier();
        if (thread == 0)
        {
            for (int warp = 1; warp < Warps; warp++)
            {
                mass += BlockMemory.LoadFloat(shared + (warp * 4));
            }
            float pairs = GlobalMemory.LoadFloat(speakerPairs + (group * 4L));
            GlobalMemory.Store(speakerScores + (((((long)Grid.IdxY * Grid.DimX) + h) * speakers) + Grid.IdxZ) * 4, pairs == 0 ? 0f : Arithmetic.Divide(mass, pairs));
        }
    }
}
