using System.Numerics;
using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Compare;

/// <summary>
/// Head scores from an S x S output, as somebody would write it who has only the built-in operators: rows of U alone are read, exponentials are
/// vectorised, heads run on as many threads as the session has.
/// </summary>
/// <param name="data">Roles and the [1, Heads, S, S] tensor.</param>
/// <param name="logits">Whether that holds logits instead of probabilities.</param>
/// <param name="threads">Threads.</param>
internal sealed unsafe class ScoreReduction(PrefillData data, bool logits, int threads)
{
    /// <summary>[Heads] the result.</summary>
    public float[] Scores { get; } = new float[data.Shape.Heads];

    /// <summary>Computes the scores.</summary>
    public void Run()
    {
        if (threads == 1)
        {
            for (int h = 0; h < Scores.Length; h++)
            {
                RunHead(h);
            }
            return;
        }
        Parallel.For(0, Scores.Length, new ParallelOptions { MaxDegreeOfParallelism = threads }, RunHead);
    }

    private void RunHead(int h)
    {
        ClipRoles roles = data.Roles;
        float* matrix = (float*)data.Qk.Data + ((long)h * data.Length * data.Length);
        double total = 0;
        for (int u = 0; u < roles.Spoken.Length; u++)
        {
            int row = roles.Spoken[u];
            Span<float> values = new(matrix + ((long)row * data.Length), data.Causal ? row + 1 : data.Length);
            total += logits ? Mass(values, roles.BoxedRuns) : Sum(values, roles.BoxedRuns);
        }
        Scores[h] = (float)(total / ((double)roles.Spoken.Length * roles.Boxed.Length));
    }

    private static float Sum(ReadOnlySpan<float> probabilities, (int First, int End)[] boxed)
    {
        Vector<float> sums = default;
        float sum = 0;
        foreach ((int first, int end) in boxed)
        {
            ReadOnlySpan<float> run = probabilities[Math.Min(first, probabilities.Length)..Math.Min(end, probabilities.Length)];
            ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(run);
            foreach (Vector<float> v in vectors)
            {
                sums += v;
            }
            foreach (float x in run[(vectors.Length * Vector<float>.Count)..])
            {
                sum += x;
            }
        }
        return sum + Vector.Sum(sums);
    }

    // The whole row is needed for the sum of exponentials, and is written back for the sum over the boxes.
    private static float Mass(Span<float> row, (int First, int End)[] boxed)
    {
        Span<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(row);
        Span<float> rest = row[(vectors.Length * Vector<float>.Count)..];
        Vector<float> largest = new(float.NegativeInfinity);
        foreach (Vector<float> v in vectors)
        {
            largest = Vector.Max(largest, v);
        }
        float max = float.NegativeInfinity;
        for (int i = 0; i < Vector<float>.Count; i++)
        {
            max = Math.Max(max, largest[i]);
        }
        foreach (float x in rest)
        {
            max = Math.Max(max, x);
        }
        Vector<float> sums = default, shift = new(max);
        foreach (ref Vector<float> v in vectors)
        {
            v = Vector.Exp(v - shift);
            sums += v;
        }
        float sum = Vector.Sum(sums);
        foreach (ref float x in rest)
        {
            x = MathF.Exp(x - max);
            sum += x;
        }
        return Sum(row, boxed) / sum;
    }
}
