using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>Past and present as one buffer, the way decoders run.</summary>
public sealed class KeyValueCacheTests
{
    private const int Batch = 2, Heads = 4, KvHeads = 2, Size = 8, Room = 24;

    /// <summary>
    /// A prompt of 5 (one element has 3), then 2, 1, 1 and 6 tokens, past and present the same tensor of 24 rows: every output has the bits of a run
    /// with separate tensors, rows behind the last key stay, and so do the margins.
    /// </summary>
    [Theory]
    [InlineData("SteeredAttention", ElementType.Float32, false)]
    [InlineData("SteeredAttention", ElementType.Float16, false)]
    [InlineData("SteeredAttention", ElementType.BFloat16, false)]
    [InlineData("SteeredAttention", ElementType.Float32, true)]
    [InlineData("SteeredAttention", ElementType.Float16, true)]
    [InlineData("SteeredAttention", ElementType.BFloat16, true)]
    [InlineData("GroupQueryAttention", ElementType.Float32, true)]
    [InlineData("GroupQueryAttention", ElementType.BFloat16, false)]
    public void Past_And_Present_May_Be_The_Same_Memory(string op, ElementType type, bool rotary)
    {
        Random random = new(5);
        using GuardedTensor key = new(type.ToOnnx(), Batch, KvHeads, Room, Size), value = new(type.ToOnnx(), Batch, KvHeads, Room, Size);
        int[] valid = [0, 0];
        foreach (int rows in (int[])[5, 2, 1, 1, 6])
        {
            valid = valid[0] == 0 ? [rows, rows - 2] : [valid[0] + rows, valid[1] + rows];
            using OpNode node = Node(op, type, rotary, rows, valid, random);
            Copy(node, 3, key.Tensor);
            Copy(node, 4, value.Tensor);
            byte[] before = Data(key.Tensor);
            Dictionary<string, float[]> apart = node.Run();

            using OrtSession session = node.CreateSession();
            using OrtTensor output = Tensors.Zeros(type, Batch, rows, Heads * Size);
            Dictionary<string, OrtTensor> feeds = node.Feeds();
            (feeds["input3"], feeds["input4"]) = (key.Tensor, value.Tensor);
            session.Run(feeds, new Dictionary<string, OrtTensor> { ["output"] = output, ["present_key"] = key.Tensor, ["present_value"] = value.Tensor });

            Assert.Equal(apart["output"], Tensors.Floats(output));
            float[] presentKey = Tensors.Floats(key.Tensor), presentValue = Tensors.Floats(value.Tensor);
            byte[] after = Data(key.Tensor);
            int rowBytes = Size * type.Size();
            for (int head = 0; head < Batch * KvHeads; head++)
            {
                int count = valid[head / KvHeads], first = head * Room * Size;
                Assert.Equal(apart["present_key"][first..(first + (count * Size))], presentKey[first..(first + (count * Size))]);
                Assert.Equal(apart["present_value"][first..(first + (count * Size))], presentValue[first..(first + (count * Size))]);

                // The prompt writes all its rows, padding included; nobody writes behind them.
                int written = Math.Max(count, rows), at = ((head * Room) + written) * rowBytes, end = (head + 1) * Room * rowBytes;
                Assert.Equal(before[at..end], after[at..end]);
            }
            key.CheckMargins("key cache", $"{rows} rows");
            value.CheckMargins("value cache", $"{rows} rows");
        }
    }

    /// <summary>Rows of a separate present behind the valid ones are 0: no memory of the past's room is handed on.</summary>
    [Fact]
    public void Present_Is_Clear_Behind_The_Last_Key()
    {
        using OpNode node = Node("SteeredAttention", ElementType.Float32, false, 2, [7, 5], new Random(1));
        float[] past = new float[Batch * KvHeads * Room * Size];
        Array.Fill(past, float.NaN);
        for (int head = 0; head < Batch * KvHeads; head++)
        {
            Array.Fill(past, 1f, head * Room * Size, ((head / KvHeads == 0 ? 7 : 5) - 2) * Size);
        }
        node.Replace(3, past, Batch, KvHeads, Room, Size).Replace(4, past, Batch, KvHeads, Room, Size);
        Dictionary<string, float[]> results = node.Run();
        Assert.All(results["output"], x => Assert.True(float.IsFinite(x)));
        for (int head = 0; head < Batch * KvHeads; head++)
        {
            int valid = head / KvHeads == 0 ? 7 : 5;
            Assert.All(results["present_key"][(((head * Room) + valid) * Size)..((head + 1) * Room * Size)], x => Assert.Equal(0, x));
        }
    }

    /// <summary>
    /// com.microsoft::MultiHeadAttention with past_sequence_length: one buffer of 24 rows, a prompt of 5 tokens and 3 steps of one are one causal attention over all
    /// of them. What lies behind the valid rows is NaN. (ONNX Runtime's own CPU kernel lets that into its results, so it is no oracle here.)
    /// </summary>
    [Fact]
    public unsafe void Multi_Head_Attention_Decodes_In_Its_Buffer()
    {
        const int All = 8, Hidden = Heads * Size;
        Random random = new(9);
        using GuardedBuffer query = Values(), key = Values(), value = Values();
        using GuardedTensor keys = new(OnnxElementType.Float, Batch, Heads, Room, Size), values = new(OnnxElementType.Float, Batch, Heads, Room, Size);
        float[] actual = new float[Batch * Heads * All * Size];
        foreach ((int first, int end) in ((int, int)[])[(0, 5), (5, 6), (6, 7), (7, 8)])
        {
            int rows = end - first;
            using OpNode node = new()
            {
                Op = "MultiHeadAttention",
                Domain = "com.microsoft",
                Overrides = AttentionOverrides.MultiHeadAttention,
                Outputs = ["output", "present_key", "present_value"],
                Attributes = new Dictionary<string, object> { ["num_heads"] = (long)Heads, ["unidirectional"] = 1L },
            };
            float[] room = new float[Batch * Heads * Room * Size];
            node.Add(Part(query), Batch, rows, Hidden).Add(Part(key), Batch, rows, Hidden).Add(Part(value), Batch, rows, Hidden).Skip(3)
                .Add(room, Batch, Heads, Room, Size).Add(room, Batch, Heads, Room, Size).Add<int>([first], 1);
            using OrtSession session = node.CreateSession();
            using OrtTensor output = Tensors.Zeros(ElementType.Float32, Batch, rows, Hidden);
            Dictionary<string, OrtTensor> feeds = node.Feeds();
            (feeds["input6"], feeds["input7"]) = (keys.Tensor, values.Tensor);
            session.Run(feeds, new Dictionary<string, OrtTensor> { ["output"] = output, ["present_key"] = keys.Tensor, ["present_value"] = values.Tensor });
            for (int i = 0; i < Batch * rows * Hidden; i++)
            {
                int d = i % Size, h = i / Size % Heads, s = i / Hidden % rows, b = i / Hidden / rows;
                actual[(((((b * Heads) + h) * All) + first + s) * Size) + d] = output.Span<float>()[i];
            }
            keys.CheckMargins("key cache", $"{first}");
            values.CheckMargins("value cache", $"{first}");

            float[] Part(GuardedBuffer tokens) =>
                [.. Enumerable.Range(0, Batch).SelectMany(b => tokens.Span<float>()[(((b * All) + first) * Hidden)..(((b * All) + end) * Hidden)].ToArray())];
        }

        using GuardedBuffer whole = new(actual.Length * sizeof(float));
        AttentionProblem problem = new()
        {
            Batch = Batch,
            Heads = Heads,
            KvHeads = Heads,
            QueryLength = All,
            KeyLength = All,
            HeadSize = Size,
            ValueHeadSize = Size,
            Scale = 1 / MathF.Sqrt(Size),
            Causal = true,
            Query = View(query),
            Key = View(key),
            Value = View(value),
            Output = View(whole),
        };
        Tolerance.Check(
            "output", actual, AttentionReference.Run<double>(problem, default).Output, order => AttentionReference.Run<float>(problem, default, order).Output,
            ElementType.Float32, "decoding");

        GuardedBuffer Values() => GuardedBuffer.Of<float>([.. Enumerable.Range(0, Batch * All * Hidden).Select(_ => (random.NextSingle() * 2) - 1)]);

        static TensorView View(GuardedBuffer tokens) => TensorView.Bshd(tokens.Data, ElementType.Float32, Heads, All, Size);
    }

    private static OpNode Node(string op, ElementType type, bool rotary, int rows, int[] valid, Random random)
    {
        OpNode node = new()
        {
            Op = op,
            Domain = op == "SteeredAttention" ? AttentionKernelsOps.Domain : "com.microsoft",
            Overrides = AttentionOverrides.All,
            Outputs = ["output", "present_key", "present_value"],
            OutputType = type.ToOnnx(),
            Attributes = new Dictionary<string, object> { ["num_heads"] = (long)Heads, ["kv_num_heads"] = (long)KvHeads, ["do_rotary"] = rotary ? 1L : 0 },
        };
        Add(Batch, rows, Heads * Size);
        Add(Batch, rows, KvHeads * Size);
        Add(Batch, rows, KvHeads * Size);
        node.Skip(2).Add([.. valid.Select(n => n - 1)], Batch).Add([valid.Max()], 1);
        if (rotary)
        {
            Add(32, Size / 2);
            Add(32, Size / 2);
        }
        return node;

        void Add(params ReadOnlySpan<long> shape)
        {
            long count = 1;
            foreach (long n in shape)
            {
                count *= n;
            }
            float[] values = [.. Enumerable.Range(0, (int)count).Select(_ => (random.NextSingle() * 2) - 1)];
            node.Add(type, values, shape);
        }
    }

    private static void Copy(OpNode node, int index, OrtTensor tensor) =>
        node.Replace(index, Tensors.Of(tensor.ElementType.ToElementType(), Tensors.Floats(tensor), tensor.Shape));

    private static unsafe byte[] Data(OrtTensor tensor) =>
        new ReadOnlySpan<byte>(tensor.Data, (int)tensor.ElementCount * tensor.ElementType.ToElementType().Size()).ToArray();
}
