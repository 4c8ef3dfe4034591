using System.Diagnostics;
using AttentionKernels.Bench.Nodes;

namespace AttentionKernels.Bench.Compare;

/// <summary>Runs our operator until .NET has compiled it for good, as it is in any process that has run for a second.</summary>
/// <remarks>Tiered compilation recompiles a method after 30 calls, in the background, 100 ms after the last new method; with profile instrumentation in between.</remarks>
internal static class JitWarmUp
{
    private const int Length = 448; // the shortest that has room for two frames and a transcript
    private const int Passes = 3;
    private const int CallsPerPass = 35;
    private static readonly TimeSpan Background = TimeSpan.FromMilliseconds(250);

    // Of each head size. Enough for optimised code; a build without optimisation would need minutes for nothing.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(3);

    /// <summary>Warms every path up on small problems.</summary>
    public static void Run(CancellationToken cancellation)
    {
        foreach (int size in (int[])[64, 128])
        {
            AttentionShape shape = new(2, 1, size);
            using PrefillData causal = new(shape, Length, true);
            using PrefillData full = new(shape, Length, false);
            using DecodeData decode = new(shape, Length);
            AttentionNode[] nodes =
            [
                .. from data in (PrefillData[])[causal, full] from side in (Side[])[Side.OwnPlain, Side.OwnSteered, Side.OwnScores] select OwnNodes.Prefill(data, side, false),
                OwnNodes.Decode(decode),
            ];
            NodeSession[] sessions = [.. nodes.Select(node => new NodeSession(node, 1))];
            long start = Stopwatch.GetTimestamp();
            for (int pass = 0; pass < Passes; pass++)
            {
                foreach (NodeSession session in sessions)
                {
                    for (int call = 0; call < CallsPerPass && Stopwatch.GetElapsedTime(start) < Limit; call++)
                    {
                        cancellation.ThrowIfCancellationRequested();
                        session.Run();
                    }
                }
                Thread.Sleep(Background);
            }
            foreach (NodeSession session in sessions)
            {
                session.Dispose();
            }
        }
    }
}
