using AttentionKernels.Cuda;

namespace AttentionKernels.OnnxRuntime.Steering;

/// <summary>A node that ran within a scope, and what each of its calls found.</summary>
/// <param name="layer">Its layer.</param>
/// <param name="node">Its name.</param>
internal sealed class LayerRecord(int layer, string node)
{
    private readonly List<Call> _calls = [];
    private readonly List<(CudaDownload Results, int AlignmentAt, float[] Scores, float[] Alignment)> _pending = [];

    public int Layer => layer;

    /// <summary>Sizes of the last call.</summary>
    public (int Batch, int Heads) Size { get; set; }

    /// <summary>Keeps a call that held rows of U.</summary>
    public void Add(float[] scores, float[] alignment, RoleCounts[] counts) => _calls.Add(new Call(scores, alignment, counts));

    /// <summary>Keeps a call whose results a device is still to send: scores, and alignment from number <paramref name="alignmentAt"/> on.</summary>
    public void Add(CudaDownload results, int alignmentAt, RoleCounts[] counts)
    {
        float[] scores = new float[Size.Batch * Size.Heads], alignment = new float[scores.Length * 4];
        Add(scores, alignment, counts);
        _pending.Add((results, alignmentAt, scores, alignment));
    }

    /// <summary>Gives up what a device has not sent.</summary>
    public void Abandon()
    {
        foreach ((CudaDownload results, _, _, _) in _pending)
        {
            results.Dispose();
        }
        _pending.Clear();
    }

    /// <summary>The calls as one: a single call's own numbers; of several, the score of their rows together, and the alignment's mean over them.</summary>
    public SteeredLayerScores Read()
    {
        foreach ((CudaDownload results, int alignmentAt, float[] ofCall, float[] alignmentOfCall) in _pending)
        {
            float[] all = new float[alignmentAt + alignmentOfCall.Length];
            results.Read(all);
            all.AsSpan(0, ofCall.Length).CopyTo(ofCall);
            all.AsSpan(alignmentAt).CopyTo(alignmentOfCall);
        }
        _pending.Clear();
        (int batch, int heads) = Size;
        float[] scores = new float[batch * heads], alignment = new float[batch * heads * 4];
        for (int b = 0; b < batch && _calls.Count > 0; b++)
        {
            // Every pair of the prompt is in one chunk: a row's later keys are hidden from it.
            double pairs = _calls.Sum(call => (double)call.Counts[b].Spoken) * _calls[^1].Counts[b].Boxed;
            double rows = _calls.Sum(call => (double)call.Counts[b].AlignedRows);
            for (int h = b * heads; h < (b + 1) * heads; h++)
            {
                scores[h] = Mean(call => call.Scores[h], call => (double)call.Counts[b].Spoken * call.Counts[b].Boxed, pairs);
                for (int i = h * 4; i < (h + 1) * 4; i++)
                {
                    alignment[i] = Mean(call => call.Alignment[i], call => call.Counts[b].AlignedRows, rows);
                }
            }
        }
        return new SteeredLayerScores { Layer = layer, Node = node, Batch = batch, Heads = heads, HeadScores = scores, Alignment = alignment, Calls = _calls.Count };
    }

    private float Mean(Func<Call, float> value, Func<Call, double> weight, double total) =>
        // One call's own bits stay.
        _calls.Count == 1 ? value(_calls[0]) : total == 0 ? 0 : (float)(_calls.Sum(call => value(call) * weight(call)) / total);

    private sealed record Call(float[] Scores, float[] Alignment, RoleCounts[] Counts);
}
