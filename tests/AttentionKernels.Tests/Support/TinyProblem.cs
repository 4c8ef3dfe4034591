using AttentionKernels.Cpu;
using AttentionKernels.Reference;

namespace AttentionKernels.Tests.Support;

/// <summary>Who a token of a <see cref="TinyProblem"/> is.</summary>
internal readonly record struct Token(Modality Modality, long Speakers = 0, int First = 0, int End = 1)
{
    public static Token Says(long speakers, int first = 0, int end = 1) => new(Modality.Text, speakers, first, end);

    public static Token Shows(long speakers, int first = 0, int end = 1) => new(Modality.Visual, speakers, first, end);
}

/// <summary>
/// A problem small enough to solve on paper: one batch element, one head, head size 1, scale 1. With the query 1 the logit of a key is the key,
/// so a key ln w has weight w. Results come from the reference and from the engine on every instruction set, and all must be the number on paper.
/// </summary>
internal sealed unsafe class TinyProblem : IDisposable
{
    private readonly List<GuardedBuffer> _buffers = [];

    /// <param name="weights">e^logit of each key for a query of 1.</param>
    /// <param name="values">One value for each key.</param>
    /// <param name="rows">Query rows, each 1.</param>
    public TinyProblem(float[] weights, float[] values, int rows = 1)
    {
        Problem = new AttentionProblem
        {
            Batch = 1,
            Heads = 1,
            KvHeads = 1,
            QueryLength = rows,
            KeyLength = weights.Length,
            HeadSize = 1,
            ValueHeadSize = 1,
            Scale = 1,
            Query = Tensor([.. Enumerable.Repeat(1f, rows)]),
            Key = Tensor([.. weights.Select(w => MathF.Log(w))]),
            Value = Tensor(values),
            Output = Tensor(new float[rows]),
        };
    }

    public AttentionProblem Problem;

    public SocialBias Bias;

    /// <summary>A query and keys that are not all 1.</summary>
    public TinyProblem With(float[] query, float[] key)
    {
        Problem.Query = Tensor(query);
        Problem.Key = Tensor(key);
        return this;
    }

    public TinyProblem Lengths(int valid) => Set(() => Problem.KeyLengths = (int*)Keep<int>([valid]));

    /// <summary>Position of row 0 among the keys.</summary>
    public TinyProblem At(int offset) => Set(() => Problem.QueryOffsets = (int*)Keep<int>([offset]));

    public TinyProblem Sink(float logit) => Set(() => Problem.HeadSink = (float*)Keep<float>([logit]));

    /// <summary>[rows, keys] additive bias.</summary>
    public TinyProblem Added(params float[] bias) =>
        Set(() => Problem.Bias = new TensorView(Keep<float>(bias), ElementType.Float32, 0, 0, Problem.KeyLength));

    /// <summary>Roles of the keys; the paper's strength, and a threshold that every positive score passes.</summary>
    public TinyProblem Roles(params Token[] keys) => Set(() =>
    {
        Bias.Keys = Roles(keys, Problem.KeyLength);
        Bias.Alpha = 1;
        Bias.Lambda = 0;
        Bias.HeadScores = (float*)Keep<float>([float.NaN]);
        Bias.Alignment = (float*)Keep<float>([float.NaN, float.NaN, float.NaN, float.NaN]);
        Bias.SpeakerCount = 2;
        Bias.SpeakerScores = (float*)Keep<float>([float.NaN, float.NaN]);
    });

    /// <summary>Roles of the query rows.</summary>
    public TinyProblem RowRoles(params Token[] rows) => Set(() => Bias.Queries = Roles(rows, Problem.QueryLength));

    public TinyProblem ScoresIn(float score) => Set(() => Bias.HeadScoresIn = (float*)Keep<float>([score]));

    public void Gives(params double[] output) => Compare("output", output, r => r.Output, Problem.Output.Data, output.Length);

    public void Scores(double score) => Compare("score", [score], r => r.HeadScores, Bias.HeadScores, 1);

    /// <summary>Score of speaker 0 and speaker 1.</summary>
    public void SpeakerScores(params double[] scores) => Compare("speaker scores", scores, r => r.SpeakerScores, Bias.SpeakerScores, 2);

    public void Aligns(double meanBefore, double meanAfter, double maxBefore, double maxAfter) =>
        Compare("alignment", [meanBefore, meanAfter, maxBefore, maxAfter], r => r.Alignment, Bias.Alignment, 4);

    public void Dispose() => _buffers.ForEach(b => b.Dispose());

    private void Compare(string what, double[] expected, Func<AttentionReferenceResult<double>, double[]> part, void* engine, int count)
    {
        // Inputs are rounded to float32, which moves a probability by up to 1e-7; numbers on paper are of order 1.
        Same("the reference", part(AttentionReference.Run<double>(Problem, Bias)));
        foreach (InstructionSet set in Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported))
        {
            AttentionCpu.Run(Problem, Bias, 1, set);
            Same($"the engine on {set}", [.. new Span<float>(engine, count).ToArray().Select(x => (double)x)]);
        }

        void Same(string who, double[] actual)
        {
            Assert.Equal(expected.Length, actual.Length);
            for (int i = 0; i < expected.Length; i++)
            {
                bool same = double.IsNaN(expected[i]) ? double.IsNaN(actual[i]) : Math.Abs(actual[i] - expected[i]) <= 1e-6 * Math.Max(1, Math.Abs(expected[i]));
                Assert.True(same, $"{what}[{i}] of {who} is {actual[i]:R}, on paper {expected[i]:R}");
            }
        }
    }

    private TokenRoles Roles(Token[] tokens, int length)
    {
        Assert.Equal(length, tokens.Length);
        return new TokenRoles
        {
            Modality = (byte*)Keep<byte>([.. tokens.Select(t => (byte)t.Modality)]),
            Speakers = (long*)Keep<long>([.. tokens.Select(t => t.Speakers)]),
            Frames = (int*)Keep<int>([.. tokens.SelectMany(t => new[] { t.First, t.End })]),
            Length = length,
        };
    }

    private TinyProblem Set(Action action)
    {
        action();
        return this;
    }

    private TensorView Tensor(float[] values) => TensorView.Bhsd(Keep<float>(values), ElementType.Float32, 1, values.Length, 1);

    private void* Keep<T>(T[] values)
        where T : unmanaged
    {
        GuardedBuffer buffer = GuardedBuffer.Of<T>(values);
        _buffers.Add(buffer);
        return buffer.Data;
    }
}
