using AttentionKernels.Cpu;
using AttentionKernels.Reference;

namespace AttentionKernels.Tests.Support;

/// <summary>The tensors of a <see cref="CaseSpec"/> in guarded memory, and the rule that an engine's results must meet.</summary>
internal sealed unsafe class AttentionCase : IDisposable
{
    private readonly List<(string Name, GuardedBuffer Buffer)> _buffers = [];
    private readonly string _test;

    /// <param name="spec">The numbers.</param>
    /// <param name="test">Name of the test, for the line that replays it.</param>
    /// <param name="asOperator">Keep to what the operators' inputs can say: lengths that leave room for the new keys, offsets by their rule.</param>
    /// <param name="scoresOnly">No value and no output.</param>
    public AttentionCase(CaseSpec spec, string test, bool asOperator = false, bool scoresOnly = false)
    {
        Spec = spec;
        _test = test;
        Random random = new(spec.Seed);
        ElementType type = spec.Type;

        int fewest = asOperator && spec.Past > 0 ? spec.T - spec.Past : 0;
        int[] lengths = [.. Enumerable.Range(0, spec.B).Select(_ => spec.Lengths ? random.Next(fewest, spec.T + 1) : spec.T)];
        int[] offsets = [.. lengths.Select(n => asOperator ? (spec.S == spec.T ? 0 : n - spec.S) : random.Next(4) == 0 ? 0 : n - spec.S)];

        Problem = new AttentionProblem
        {
            Batch = spec.B,
            Heads = spec.H,
            KvHeads = spec.Kv,
            QueryLength = spec.S,
            KeyLength = spec.T,
            HeadSize = spec.D,
            ValueHeadSize = spec.Dv,
            Scale = 1 / MathF.Sqrt(spec.D),
            Softcap = spec.Softcap,
            Window = spec.Window,
            Causal = spec.Causal,
            KeyLengths = spec.Lengths || asOperator ? Ints("key lengths", lengths) : null,
            QueryOffsets = spec.Lengths || asOperator ? Ints("query offsets", offsets) : null,
            Query = Tensor("query", type, spec.H, spec.S, spec.D, (_, _, _, _) => Normal(random) * QueryScale()),
            Key = Tensor("key", type, spec.Kv, spec.T, spec.D, (b, h, s, d) => KeyValue(random, lengths[b], s, d)),
            Value = scoresOnly ? default : Tensor("value", type, spec.Kv, spec.T, spec.Dv, (b, h, s, d) => spec.Logits == LogitMode.NaNInMaskedRows && s >= lengths[b] ? float.NaN : Normal(random)),
            Output = scoresOnly ? default : Tensor("output", type, spec.H, spec.S, spec.Dv, (_, _, _, _) => float.NaN),
            Bias = spec.Bias ? BiasTensor(type, random) : default,
            HeadSink = spec.Sink ? Floats("head sink", [.. Enumerable.Range(0, spec.H).Select(_ => Normal(random) * 3)]) : null,
        };
        if (spec.Roles != RoleMode.None)
        {
            Bias = new SocialBias
            {
                Keys = RandomRoles(spec.T, random),
                Queries = spec.Roles == RoleMode.Cross ? RandomRoles(spec.S, random) : default,
                Alpha = spec.Alpha,
                Lambda = spec.Lambda,
                ClampNegative = spec.Clamp,
                HeadScoresIn = spec.ScoresIn ? Floats("scores in", [.. Enumerable.Range(0, spec.B * spec.H).Select(i => i % 2 == 0 ? 0 : 1f)]) : null,
                HeadScores = Results("head scores", spec.B * spec.H),
                Alignment = Results("alignment", spec.B * spec.H * 4),
            };
            if (spec.Seed % 2 == 0 || scoresOnly)
            {
                // Fewer than there are bits: scores are for the first speakers alone.
                Bias.SpeakerCount = Math.Min(spec.Speakers, 4);
                Bias.SpeakerScores = Results("speaker scores", spec.B * spec.H * Bias.SpeakerCount);
            }
        }
    }

    public CaseSpec Spec { get; }

    /// <summary>Changed by laws that compare two calls.</summary>
    public AttentionProblem Problem;

    /// <summary>Changed by laws that compare two calls.</summary>
    public SocialBias Bias;

    public string Repro => Spec.Repro(_test);

    /// <summary>Everything that lies in guarded memory, and whether a call writes it.</summary>
    public IEnumerable<(string Name, GuardedBuffer Buffer, bool IsResult)> Buffers => _buffers.Select(entry => (entry.Name, entry.Buffer, IsResult(entry.Name)));

    /// <summary>Output [B, H, S, Dv] in float32, whatever its layout and type.</summary>
    public float[] Output() => Problem.Output.IsEmpty ? [] : Read(Problem.Output, Spec.H, Spec.S, Spec.Dv);

    public float[] HeadScores() => new Span<float>(Bias.HeadScores, Bias.HeadScores == null ? 0 : Spec.B * Spec.H).ToArray();

    public float[] SpeakerScores() => new Span<float>(Bias.SpeakerScores, Bias.SpeakerScores == null ? 0 : Spec.B * Spec.H * Bias.SpeakerCount).ToArray();

    public float[] Alignment() => new Span<float>(Bias.Alignment, Bias.Alignment == null ? 0 : Spec.B * Spec.H * 4).ToArray();

    public void Run(int threads = 2, InstructionSet? set = null)
    {
        ClearResults();
        AttentionCpu.Run(Problem, Bias, threads, set);
    }

    /// <summary>Fills everything that a call writes with NaN, so that what it leaves out shows.</summary>
    public void ClearResults()
    {
        foreach ((string name, GuardedBuffer buffer) in _buffers)
        {
            if (IsResult(name))
            {
                buffer.Fill();
            }
        }
    }

    /// <summary>Compares results with the reference by the tolerance rule, and looks at every margin.</summary>
    /// <param name="output">Results, as the properties of those names give them.</param>
    /// <param name="headScores"/>
    /// <param name="alignment"/>
    /// <param name="speakerScores">Null: not compared.</param>
    /// <param name="outputExtra">What the output may be off beside, as <see cref="Tolerance.Check"/> has it.</param>
    /// <param name="scoreExtra">The same for scores and alignment.</param>
    public void Check(float[] output, float[] headScores, float[] alignment, float[]? speakerScores = null, double outputExtra = 0, double scoreExtra = 0)
    {
        foreach ((string name, GuardedBuffer buffer) in _buffers)
        {
            buffer.CheckMargins(name, Repro);
        }

        // A score within rounding of lambda may fall on either side: scores are compared as numbers, and the output under the decisions that
        // the engine's scores imply.
        SocialBias gated = Bias;
        fixed (float* scores = headScores)
        {
            if (gated.HeadScoresIn == null && !gated.Keys.IsEmpty)
            {
                gated.HeadScoresIn = scores;
            }
            AttentionReferenceResult<double> truth = AttentionReference.Run<double>(Problem, gated);
            Dictionary<int, AttentionReferenceResult<float>> plain = [];
            Compare("output", output, truth.Output, p => p.Output, Spec.Type, outputExtra);
            if (!gated.Keys.IsEmpty)
            {
                Compare("head scores", headScores, truth.HeadScores, p => p.HeadScores, ElementType.Float32, scoreExtra);
                Compare("alignment", alignment, truth.Alignment, p => p.Alignment, ElementType.Float32, scoreExtra);
                if (speakerScores != null)
                {
                    Compare("speaker scores", speakerScores, truth.SpeakerScores, p => p.SpeakerScores, ElementType.Float32, scoreExtra);
                }
            }

            void Compare(string name, float[] actual, double[] expected, Func<AttentionReferenceResult<float>, float[]> part, ElementType rounded, double extra = 0) =>
                Tolerance.Check(name, actual, expected, order => part(Plain(order)), rounded, Repro, extra: extra);

            AttentionReferenceResult<float> Plain(int order)
            {
                if (!plain.TryGetValue(order, out AttentionReferenceResult<float>? result))
                {
                    plain[order] = result = AttentionReference.Run<float>(Problem, gated, order);
                }
                return result;
            }
        }
    }

    public void Check() => Check(Output(), HeadScores(), Alignment(), Bias.SpeakerScores == null ? null : SpeakerScores());

    public void Dispose()
    {
        foreach ((_, GuardedBuffer buffer) in _buffers)
        {
            buffer.Dispose();
        }
    }

    /// <summary>[B, H, S, size] in float32.</summary>
    public float[] Read(TensorView tensor, int heads, int rows, int size)
    {
        float[] values = new float[Spec.B * heads * rows * size];
        int n = 0;
        for (int b = 0; b < Spec.B; b++)
        {
            for (int h = 0; h < heads; h++)
            {
                for (int s = 0; s < rows; s++)
                {
                    for (int d = 0; d < size; d++)
                    {
                        values[n++] = tensor.Load(b, h, s, d);
                    }
                }
            }
        }
        return values;
    }

    public float* Results(string name, int count)
    {
        GuardedBuffer buffer = new((long)count * sizeof(float));
        _buffers.Add((name, buffer));
        return (float*)buffer.Data;
    }

    private static bool IsResult(string name) => name is "output" or "head scores" or "alignment" or "speaker scores";

    private static float Normal(Random random) =>
        (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));

    /// <summary>Query factor: logits of standard deviation about 1.5, or thousands, or all equal.</summary>
    private float QueryScale() => Spec.Logits switch
    {
        LogitMode.Large => Spec.Type == ElementType.Float16 ? 200f : 3000f,
        LogitMode.Flat => 0f,
        _ => 1.5f,
    };

    /// <summary>A key; in sink mode the first one outweighs the others by about e^25 for half of the rows.</summary>
    private float KeyValue(Random random, int length, int s, int d)
    {
        if (Spec.Logits == LogitMode.NaNInMaskedRows && s >= length)
        {
            return float.NaN;
        }
        float value = Normal(random);
        return Spec.Logits == LogitMode.Sink && s == 0 ? value * 17 : value;
    }

    private TensorView Tensor(string name, ElementType type, int heads, int rows, int size, Func<int, int, int, int, float> value)
    {
        int pad = Spec.Layout == LayoutMode.Padded ? 3 : 0;
        bool rowsFirst = Spec.Layout == LayoutMode.RowsFirst;
        long row = rowsFirst ? (long)heads * size : size + pad;
        long head = rowsFirst ? size : (rows * row) + (5 * pad);
        long batch = rowsFirst ? rows * row : (heads * head) + pad;
        GuardedBuffer buffer = new(Spec.B * batch * type.Size());
        _buffers.Add((name, buffer));
        TensorView view = new(buffer.Data, type, batch, head, row);
        for (int b = 0; b < Spec.B; b++)
        {
            for (int h = 0; h < heads; h++)
            {
                for (int s = 0; s < rows; s++)
                {
                    for (int d = 0; d < size; d++)
                    {
                        type.Store(buffer.Data, view.Offset(b, h, s) + d, value(b, h, s, d));
                    }
                }
            }
        }
        return view;
    }

    private TensorView BiasTensor(ElementType type, Random random)
    {
        int batches = Spec.BiasPerBatch ? Spec.B : 1, heads = Spec.BiasPerHead ? Spec.H : 1;
        long matrix = (long)Spec.S * Spec.T;
        GuardedBuffer buffer = new(batches * heads * matrix * type.Size());
        _buffers.Add(("bias", buffer));
        TensorView view = new(buffer.Data, type, Spec.BiasPerBatch ? heads * matrix : 0, Spec.BiasPerHead ? matrix : 0, Spec.T);
        for (long i = 0; i < batches * heads * matrix; i++)
        {
            type.Store(buffer.Data, i, random.Next(8) == 0 ? float.NegativeInfinity : Normal(random) * 2);
        }
        return view;
    }

    /// <summary>Tokens in runs of one role, as utterances and boxes are; frames that overlap in part.</summary>
    private TokenRoles RandomRoles(int length, Random random)
    {
        byte[] modality = new byte[Spec.B * length];
        long[] speakers = new long[Spec.B * length];
        int[] frames = new int[Spec.B * length * 2];
        // Utterances that share a vector of rows or, in long sequences, fill several.
        int left = 0, longest = length > 100 && Spec.Seed % 2 == 0 ? 50 : 12;
        for (int i = 0; i < modality.Length; i++)
        {
            if (left-- <= 0)
            {
                left = random.Next(1, longest);
                int frame = random.Next(0, 4);
                (modality[i], speakers[i], frames[2 * i], frames[(2 * i) + 1]) = (
                    random.Next(8) == 0 ? (byte)random.Next(2, 5) : (byte)random.Next(2),
                    random.Next(5) == 0 ? 0 : (1L << random.Next(Spec.Speakers)) | (random.Next(4) == 0 ? 1L << random.Next(Spec.Speakers) : 0),
                    frame, frame + random.Next(0, 4));
            }
            else
            {
                (modality[i], speakers[i], frames[2 * i], frames[(2 * i) + 1]) = (modality[i - 1], speakers[i - 1], frames[(2 * i) - 2], frames[(2 * i) - 1]);
            }
        }
        GuardedBuffer m = GuardedBuffer.Of<byte>(modality), s = GuardedBuffer.Of<long>(speakers), f = GuardedBuffer.Of<int>(frames);
        _buffers.AddRange([("modality", m), ("speakers", s), ("frames", f)]);
        return new TokenRoles { Modality = (byte*)m.Data, Speakers = (long*)s.Data, Frames = (int*)f.Data, Length = length };
    }

    private int* Ints(string name, int[] values)
    {
        GuardedBuffer buffer = GuardedBuffer.Of<int>(values);
        _buffers.Add((name, buffer));
        return (int*)buffer.Data;
    }

    private float* Floats(string name, float[] values)
    {
        GuardedBuffer buffer = GuardedBuffer.Of<float>(values);
        _buffers.Add((name, buffer));
        return (float*)buffer.Data;
    }
}
