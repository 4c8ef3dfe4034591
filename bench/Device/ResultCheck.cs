using System.Runtime.InteropServices;
using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Device;

/// <summary>Compares what a call left on the device with the host's float64, on sampled rows and heads.</summary>
/// <remarks>
/// A result is right if its largest error and its root mean square error are at most twice those of <see cref="RowReference"/>'s rounded row, the largest plus the rounding of one number of that size.
/// Scores are sums of float32 over thousands of terms and are not rounded to 16 bits.
/// </remarks>
internal sealed unsafe class ResultCheck(GpuDevice device, DeviceTensors tensors, DeviceCase c)
{
    private const int Rows = 16, SpokenRows = 8, Heads = 2;
    private const double ScoreTolerance = 1e-4;

    private readonly Random _random = new(3);

    /// <summary>Checks rows of the output.</summary>
    /// <param name="cache">The cache that the call took.</param>
    /// <param name="steered">Whether rows of U were steered.</param>
    /// <returns>The largest error, relative to the largest value.</returns>
    /// <exception cref="BenchException">The result is wrong.</exception>
    public double Output(int cache, bool steered)
    {
        (int B, int H, int Row)[] sampled = [.. Enumerable.Range(0, Rows).Select(n => Sample(n switch { 0 => 0, 1 => c.Rows - 1, _ => _random.Next(c.Rows) }))];
        if (steered)
        {
            sampled = [.. sampled, .. Enumerable.Range(0, SpokenRows).Select(_ => Sample(tensors.Roles!.Spoken[_random.Next(tensors.Roles.Spoken.Length)]))];
        }
        int size = c.Shape.HeadSize;
        double[] exact = new double[sampled.Length * size];
        float[] rounded = new float[exact.Length], actual = new float[exact.Length];
        for (int n = 0; n < sampled.Length; n++)
        {
            Download(sampled[n]).CopyTo(actual, n * size);
        }
        Parallel.For(0, sampled.Length, n =>
        {
            (int b, int h, int row) = sampled[n];
            int kvHead = h / (c.Shape.Heads / c.Shape.KvHeads);
            RowReference.Run(
                tensors.QueryRow(b, h, row), Seen(row), key => tensors.KeyRow(cache, b, kvHead, key), key => tensors.ValueRow(cache, b, kvHead, key), tensors.Scale,
                steered ? RolesOf(row) : null, c.Type, exact.AsSpan(n * size, size), rounded.AsSpan(n * size, size));
        });
        (double worst, double mean) = Errors(actual, exact);
        (double allowedWorst, double allowedMean) = Errors(rounded, exact);
        double largest = exact.Max(Math.Abs);
        allowedWorst = (2 * allowedWorst) + (largest * UnitOf(c.Type));
        allowedMean *= 2;
        if (!(worst <= allowedWorst && mean <= allowedMean))
        {
            throw new BenchException(FormattableString.Invariant(
                $"the output is wrong: {sampled.Length} sampled rows are off by up to {worst:0.0e0} (root mean square {mean:0.0e0}) from float64, expected at most {allowedWorst:0.0e0} ({allowedMean:0.0e0})"));
        }
        return worst / largest;
    }

    /// <summary>Checks scores of heads.</summary>
    /// <returns>The largest relative error.</returns>
    /// <exception cref="BenchException">A score is wrong, or not above 0: then a head was not steered.</exception>
    public double Scores()
    {
        float[] scores = new float[c.Batch * c.Shape.Heads];
        device.Download(tensors.HeadScores.Data, MemoryMarshal.AsBytes(scores.AsSpan()));
        int inactive = Array.FindIndex(scores, score => !(score > 0));
        if (inactive >= 0)
        {
            throw new BenchException(FormattableString.Invariant($"the scores are wrong: head {inactive} has {scores[inactive]:R}, so not every head was steered"));
        }
        double error = 0;
        for (int n = 0; n < Heads; n++)
        {
            (int b, int h, _) = Sample(0);
            double expected = ScoreOf(b, h), relative = Math.Abs(scores[(b * c.Shape.Heads) + h] - expected) / expected;
            if (!(relative <= ScoreTolerance))
            {
                throw new BenchException(FormattableString.Invariant(
                    $"the scores are wrong: head {h} of element {b} has {scores[(b * c.Shape.Heads) + h]:R}, expected {expected:R} within {ScoreTolerance:0e0} of it"));
            }
            error = Math.Max(error, relative);
        }
        return error;
    }

    private double ScoreOf(int b, int h)
    {
        ClipRoles roles = tensors.Roles!;
        int kvHead = h / (c.Shape.Heads / c.Shape.KvHeads);
        double[] ofRows = new double[roles.Spoken.Length];
        Parallel.For(0, ofRows.Length, u =>
        {
            double[] probabilities = RowReference.Probabilities(
                tensors.QueryRow(b, h, roles.Spoken[u]), Seen(roles.Spoken[u]), key => tensors.KeyRow(0, b, kvHead, key), tensors.Scale);
            ofRows[u] = roles.Boxed.Where(v => v < probabilities.Length).Sum(v => probabilities[v]);
        });
        return ofRows.Sum() / roles.Spoken.Length / roles.Boxed.Length;
    }

    private (bool[] Boxed, bool[] Aligned)? RolesOf(int row)
    {
        ClipRoles roles = tensors.Roles!;
        int u = Array.BinarySearch(roles.Spoken, row);
        if (u < 0)
        {
            return null;
        }
        (bool[] boxed, bool[] aligned) = (new bool[c.Keys], new bool[c.Keys]);
        foreach (int v in roles.Boxed)
        {
            boxed[v] = true;
        }
        foreach ((int first, int end) in roles.Aligned[u])
        {
            aligned.AsSpan(first, end - first).Fill(true);
        }
        return (boxed, aligned);
    }

    private (int B, int H, int Row) Sample(int row) => (_random.Next(c.Batch), _random.Next(c.Shape.Heads), row);

    private int Seen(int row) => c.Causal ? c.Keys - c.Rows + row + 1 : c.Keys;

    private float[] Download((int B, int H, int Row) at)
    {
        int size = c.Shape.HeadSize;
        byte[] bytes = new byte[size * c.Type.Size()];
        long element = ((((long)at.B * c.Rows) + at.Row) * c.Shape.Heads * size) + (at.H * size);
        device.Download((byte*)tensors.Output.Data + (element * c.Type.Size()), bytes);
        float[] row = new float[size];
        fixed (byte* data = bytes)
        {
            for (int d = 0; d < size; d++)
            {
                row[d] = c.Type.Load(data, d);
            }
        }
        return row;
    }

    private static (double Worst, double Mean) Errors(float[] values, double[] exact)
    {
        double worst = 0, squares = 0;
        for (int i = 0; i < exact.Length; i++)
        {
            double error = Math.Abs(values[i] - exact[i]);
            // NaN is the worst of all.
            worst = error <= worst ? worst : error;
            squares += error * error;
        }
        return (worst, Math.Sqrt(squares / exact.Length));
    }

    /// <summary>Half the distance of neighbouring numbers, relative to the smaller.</summary>
    private static double UnitOf(ElementType type) => type switch { ElementType.Float32 => Math.ScaleB(1, -24), ElementType.Float16 => Math.ScaleB(1, -11), _ => Math.ScaleB(1, -8) };
}
