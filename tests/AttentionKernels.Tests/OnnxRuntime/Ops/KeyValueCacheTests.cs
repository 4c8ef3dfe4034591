using AttentionKernels.OnnxRuntime.Interop;

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
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Past_And_Present_May_Be_The_Same_Memory(bool half, bool rotary)
    {
        OnnxElementType type = half ? OnnxElementType.Float16 : OnnxElementType.Float;
        Random random = new(5);
        using GuardedTensor key = new(type, Batch, KvHeads, Room, Size), value = new(type, Batch, KvHeads, Room, Size);
        int[] valid = [0, 0];
        foreach (int rows in (int[])[5, 2, 1, 1, 6])
        {
            valid = valid[0] == 0 ? [rows, rows - 2] : [valid[0] + rows, valid[1] + rows];
            using OpNode node = Node(half, rotary, rows, valid, random);
            Bytes(node, 3, key.Tensor);
            Bytes(node, 4, value.Tensor);
            byte[] before = Data(key.Tensor);
            Dictionary<string, float[]> apart = node.Run();

            using OrtSession session = node.CreateSession();
            using OrtTensor output = half ? OrtTensor.Zeros<Half>(Batch, rows, Heads * Size) : OrtTensor.Zeros<float>(Batch, rows, Heads * Size);
            Dictionary<string, OrtTensor> feeds = node.Feeds();
            (feeds["input3"], feeds["input4"]) = (key.Tensor, value.Tensor);
            session.Run(feeds, new Dictionary<string, OrtTensor> { ["output"] = output, ["present_key"] = key.Tensor, ["present_value"] = value.Tensor });

            Assert.Equal(apart["output"], Floats(output));
            float[] presentKey = Floats(key.Tensor), presentValue = Floats(value.Tensor);
            byte[] after = Data(key.Tensor);
            int rowBytes = Size * (half ? 2 : 4);
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
        using OpNode node = Node(false, false, 2, [7, 5], new Random(1));
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

    private static OpNode Node(bool half, bool rotary, int rows, int[] valid, Random random)
    {
        OpNode node = new()
        {
            Op = "SteeredAttention",
            Outputs = ["output", "present_key", "present_value"],
            OutputType = half ? OnnxElementType.Float16 : OnnxElementType.Float,
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
            _ = half ? node.Add<Half>([.. values.Select(x => (Half)x)], shape) : node.Add(values, shape);
        }
    }

    private static void Bytes(OpNode node, int index, OrtTensor tensor) =>
        _ = tensor.ElementType == OnnxElementType.Float
            ? node.Replace(index, tensor.Span<float>().ToArray(), tensor.Shape)
            : node.Replace(index, tensor.Span<Half>().ToArray(), tensor.Shape);

    private static float[] Floats(OrtTensor tensor) => tensor.ElementType == OnnxElementType.Float
        ? tensor.Span<float>().ToArray()
        : [.. tensor.Span<Half>().ToArray().Select(x => (float)x)];

    private static unsafe byte[] Data(OrtTensor tensor) =>
        new ReadOnlySpan<byte>(tensor.Data, (int)tensor.ElementCount * (tensor.ElementType == OnnxElementType.Float ? 4 : 2)).ToArray();
}
