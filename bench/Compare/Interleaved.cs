using System.Diagnostics;

namespace AttentionKernels.Bench.Compare;

/// <summary>Times several sides in turns, so that whatever else the machine does meets all of them.</summary>
internal static class Interleaved
{
    private const int MostRepeats = 1000;

    // A side that takes longer than this many samples needs no trial run to know that it runs once per sample.
    private const int ClearlyLong = 10;

    /// <summary>Measures.</summary>
    /// <param name="sides">What to run.</param>
    /// <param name="firstRuns">Milliseconds of each side's first run, which is over; 0: it has not run.</param>
    /// <param name="budget">How often.</param>
    /// <param name="cancellation">Ends it between two samples.</param>
    /// <returns>For each side milliseconds of one run, one number for each round.</returns>
    public static double[][] Measure(IReadOnlyList<Action> sides, IReadOnlyList<double> firstRuns, RoundBudget budget, CancellationToken cancellation)
    {
        int[] repeats = new int[sides.Count];
        for (int s = 0; s < repeats.Length; s++)
        {
            cancellation.ThrowIfCancellationRequested();
            repeats[s] = firstRuns[s] > ClearlyLong * budget.Sample.TotalMilliseconds && firstRuns[s] > 0
                ? 1
                : (int)Math.Clamp(Math.Ceiling(budget.Sample.TotalMilliseconds / Time(sides[s], 1)), 1, MostRepeats);
        }
        List<double>[] times = [.. sides.Select(_ => new List<double>())];
        int[] order = [.. Enumerable.Range(0, sides.Count)];
        Random random = new(1);
        long start = Stopwatch.GetTimestamp();
        for (int round = 0; round < budget.Least || (round < budget.Most && Stopwatch.GetElapsedTime(start) < budget.Time); round++)
        {
            // In a fixed order one side would always find the caches that the same other side left.
            random.Shuffle(order);
            foreach (int s in order)
            {
                cancellation.ThrowIfCancellationRequested();
                times[s].Add(Time(sides[s], repeats[s]));
            }
        }
        return [.. times.Select(t => t.ToArray())];
    }

    private static double Time(Action side, int repeats)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < repeats; i++)
        {
            side();
        }
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds / repeats;
    }
}
