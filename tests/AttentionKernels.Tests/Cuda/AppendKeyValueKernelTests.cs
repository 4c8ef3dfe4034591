using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>Rotary embedding and the cache, against loops that say what com.microsoft::GroupQueryAttention says.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed unsafe class AppendKeyValueKernelTests
{
    private const int Heads = 3, KvHeads = 2, Batch = 2, Positions = 30;

    [Theory]
    [InlineData(ElementType.Float32, 8, 8, 4, false)]
    [InlineData(ElementType.Float32, 7, 5, 3, true)]
    [InlineData(ElementType.Float16, 64, 64, 32, true)]
    [InlineData(ElementType.Float16, 80, 24, 10, false)]
    [InlineData(ElementType.BFloat16, 128, 128, 64, false)]
    [InlineData(ElementType.BFloat16, 33, 40, 0, false)]
    public void A_Past_Of_Its_Own_Is_Copied_And_Rows_Behind_The_New_Ones_Are_Cleared(ElementType type, int size, int valueSize, int pairs, bool interleaved) =>
        Check(new Setup(type, size, valueSize, pairs, interleaved) { NewKeys = 3, PastLength = 9, KeyLength = 12, PresentLength = 12, Valid = [12, 5] });

    [Theory]
    [InlineData(ElementType.Float32, false)]
    [InlineData(ElementType.Float16, true)]
    [InlineData(ElementType.BFloat16, false)]
    public void A_Shared_Buffer_Gets_Only_The_New_Rows(ElementType type, bool interleaved) =>
        Check(new Setup(type, 16, 24, 6, interleaved) { NewKeys = 1, PastLength = 20, KeyLength = 11, PresentLength = 20, Valid = [11, 1], Shared = true });

    [Fact]
    public void A_Prompt_Starts_At_Position_Zero_However_Long_It_Is() =>
        Check(new Setup(ElementType.Float16, 64, 64, 16, false) { NewKeys = 6, PastLength = 0, KeyLength = 6, PresentLength = 6, Valid = [6, 2] });

    [Fact]
    public void Without_Lengths_All_Keys_Are_Valid() =>
        Check(new Setup(ElementType.Float32, 12, 12, 6, true) { NewKeys = 2, PastLength = 7, KeyLength = 9, PresentLength = 9, Valid = [9, 9], LengthsGiven = false });

    [Fact]
    public void Positions_May_Be_Given_And_Never_Leave_The_Caches() =>
        Check(new Setup(ElementType.Float32, 12, 12, 4, false)
        {
            NewKeys = 2,
            PastLength = 7,
            KeyLength = 9,
            PresentLength = 9,
            Valid = [9, 4],
            PositionIds = [3, 29, -5, 1L << 40],
        });

    [Fact]
    public void Lengths_Outside_The_Buffer_Are_Cut() =>
        Check(new Setup(ElementType.Float32, 4, 4, 0, false)
        {
            NewKeys = 2,
            PastLength = 6,
            KeyLength = 6,
            PresentLength = 6,
            Valid = [6, 2],
            Lengths = [int.MaxValue - 1, -7],
            Shared = true,
        });

    /// <summary>Rows with a bias of their head; sums are rounded once.</summary>
    [Theory]
    [InlineData(ElementType.Float32)]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Projection_Biases_Are_Added_And_Sinks_Widened(ElementType type)
    {
        const int Rows = 3, Size = 40;
        string name = type switch { ElementType.Float16 => "f16", ElementType.BFloat16 => "bf16", _ => "f32" };
        Random random = new(9);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => Tolerance.Rounded(type, (random.NextSingle() * 4) - 2))];
        float[] query = Values(Rows * Heads * Size), key = Values(Rows * KvHeads * Size), value = Values(Rows * KvHeads * Size), sinks = Values(Heads);
        float[] queryBias = Values(Heads * Size), keyBias = Values(KvHeads * Size), valueBias = Values(KvHeads * Size);
        using TestKernels run = new();
        long Output(string what, int heads) => run.Output<byte>(what, Rows * heads * Size * type.Size());
        long Input(string what, float[] values) => run.Input(what, Bytes(type, values));
        long moved = Output("moved query", Heads), presentKey = Output("present key", KvHeads), presentValue = Output("present value", KvHeads), wide = run.Output<float>("wide sink", Heads);
        run.Run(
            $"AppendKeyValue_{name}", (1, Heads + (2 * KvHeads), 1),
            ("query", Input("query", query)), ("queryHeadStride", Size), ("queryTokenStride", Heads * Size), ("key", Input("key", key)), ("keyHeadStride", Size), ("keyTokenStride", KvHeads * Size),
            ("value", Input("value", value)), ("valueHeadStride", Size), ("valueTokenStride", KvHeads * Size), ("presentKey", presentKey), ("presentValue", presentValue), ("movedQuery", moved),
            ("queryBias", Input("query bias", queryBias)), ("keyBias", Input("key bias", keyBias)), ("valueBias", Input("value bias", valueBias)),
            ("narrowSink", Input("narrow sink", sinks)), ("wideSink", wide), ("heads", Heads), ("kvHeads", KvHeads), ("queryLength", Rows), ("keyLength", Rows), ("newKeys", Rows),
            ("presentLength", Rows), ("headSize", Size), ("valueHeadSize", Size), ("positions", 1));
        Assert.Equal(sinks, TestKernels.Read<float>(wide, Heads));
        Same("query", moved, Heads, query, queryBias);
        Same("key", presentKey, KvHeads, key, keyBias);
        Same("value", presentValue, KvHeads, value, valueBias);

        void Same(string what, long address, int heads, float[] rows, float[] bias)
        {
            for (int n = 0; n < rows.Length; n++)
            {
                int d = n % Size, row = n / Size % Rows, h = n / Size / Rows;
                float expected = Tolerance.Rounded(type, rows[(((row * heads) + h) * Size) + d] + bias[(h * Size) + d]);
                Assert.True(type.Load((void*)address, n) == expected, $"{what} [{h}, {row}, {d}] is {type.Load((void*)address, n):R}, expected {expected:R}");
            }
        }
    }

    internal static PtxCounts Check(Setup s)
    {
        using TestKernels run = new();
        Random random = new(s.Size + s.Pairs);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => Tolerance.Rounded(s.Type, (float)(random.NextDouble() * 4) - 2))];
        float[] query = Values(Batch * Heads * s.NewKeys * s.Size), key = Values(Batch * KvHeads * s.NewKeys * s.Size), value = Values(Batch * KvHeads * s.NewKeys * s.ValueSize);
        float[] pastKey = Values(Batch * KvHeads * s.PastLength * s.Size), pastValue = Values(Batch * KvHeads * s.PastLength * s.ValueSize);
        float[] cos = Values(Positions * s.Pairs), sin = Values(Positions * s.Pairs);

        long past = s.Shared ? run.InOut("past key", Bytes(s.Type, pastKey)) : run.Input("past key", Bytes(s.Type, pastKey));
        long pastOfValues = s.Shared ? run.InOut("past value", Bytes(s.Type, pastValue)) : run.Input("past value", Bytes(s.Type, pastValue));
        long present = s.Shared ? past : run.Output<byte>("present key", Batch * KvHeads * s.PresentLength * s.Size * s.Type.Size());
        long presentOfValues = s.Shared ? pastOfValues : run.Output<byte>("present value", Batch * KvHeads * s.PresentLength * s.ValueSize * s.Type.Size());
        long rotated = run.Output<byte>("moved query", query.Length * s.Type.Size()), valid = run.Output<int>("valid lengths", Batch), offsets = run.Output<int>("row offsets", Batch);
        int rows = Math.Max(s.NewKeys, s.Shared ? s.NewKeys : s.PresentLength);
        run.Run(
            $"AppendKeyValue_{s.Type switch { ElementType.Float16 => "f16", ElementType.BFloat16 => "bf16", _ => "f32" }}", ((rows + 3) / 4, Heads + (2 * KvHeads), Batch),
            ("query", run.Input("query", Bytes(s.Type, query))), ("queryBatchStride", s.NewKeys * Heads * s.Size), ("queryHeadStride", s.Size), ("queryTokenStride", Heads * s.Size),
            ("key", run.Input("key", Bytes(s.Type, key))), ("keyBatchStride", s.NewKeys * KvHeads * s.Size), ("keyHeadStride", s.Size), ("keyTokenStride", KvHeads * s.Size),
            ("value", run.Input("value", Bytes(s.Type, value))), ("valueBatchStride", s.NewKeys * KvHeads * s.ValueSize), ("valueHeadStride", s.NewKeys * s.ValueSize), ("valueTokenStride", s.ValueSize),
            ("pastKey", past), ("pastValue", pastOfValues), ("presentKey", present), ("presentValue", presentOfValues), ("movedQuery", rotated),
            ("cosCache", run.Input("cos cache", Bytes(s.Type, cos))), ("sinCache", run.Input("sin cache", Bytes(s.Type, sin))),
            ("positionIds", run.Input("position ids", s.PositionIds)), ("keyLengths", s.LengthsGiven ? run.Input("key lengths", s.Lengths ?? [.. s.Valid.Select(n => n - 1)]) : 0),
            ("validLengths", valid), ("rowOffsets", offsets), ("heads", Heads), ("kvHeads", KvHeads), ("queryLength", s.NewKeys), ("keyLength", s.KeyLength),
            ("newKeys", s.NewKeys), ("pastLength", s.PastLength), ("presentLength", s.PresentLength), ("headSize", s.Size), ("valueHeadSize", s.ValueSize),
            ("rotaryPairs", s.Pairs), ("interleaved", s.Interleaved ? 1 : 0), ("positions", Positions), ("lengthAdd", 1));

        bool isPrompt = s.NewKeys == s.KeyLength;
        Assert.Equal(s.Valid, TestKernels.Read<int>(valid, Batch));
        Assert.Equal([.. s.Valid.Select(n => isPrompt ? 0 : n - s.NewKeys)], TestKernels.Read<int>(offsets, Batch));
        for (int b = 0; b < Batch; b++)
        {
            int first = isPrompt ? 0 : s.Valid[b] - s.NewKeys;
            long Position(int token) => Math.Clamp(s.PositionIds.Length > 0 ? s.PositionIds[(b * s.NewKeys) + token] : first + token, 0, Positions - 1);
            for (int token = 0; token < s.NewKeys; token++)
            {
                for (int h = 0; h < Heads; h++)
                {
                    Row("query", rotated, ((b * Heads) + h) * s.NewKeys + token, s.Size, Rotated(query, ((((b * s.NewKeys) + token) * Heads) + h) * s.Size, Position(token)));
                }
            }
            for (int h = 0; h < KvHeads; h++)
            {
                for (int j = 0; j < s.PresentLength; j++)
                {
                    int token = j - first, row = (((b * KvHeads) + h) * s.PresentLength) + j, pastRow = (((b * KvHeads) + h) * s.PastLength) + j;
                    bool isNew = token >= 0 && token < s.NewKeys, isPast = s.Shared || token < 0;
                    double[] expectedKey = isNew ? Rotated(key, ((((b * s.NewKeys) + token) * KvHeads) + h) * s.Size, Position(token)) : isPast ? Plain(pastKey, pastRow, s.Size) : new double[s.Size];
                    Row("key", present, row, s.Size, expectedKey);
                    double[] expectedValue = isNew ? Plain(value, (((b * KvHeads) + h) * s.NewKeys) + token, s.ValueSize) : isPast ? Plain(pastValue, pastRow, s.ValueSize) : new double[s.ValueSize];
                    Row("value", presentOfValues, row, s.ValueSize, expectedValue);
                }
            }
        }
        return run.Counts;

        static double[] Plain(float[] values, int row, int size) => [.. values.Skip(row * size).Take(size).Select(x => (double)x)];

        double[] Rotated(float[] values, int at, long position)
        {
            double[] row = [.. values.Skip(at).Take(s.Size).Select(x => (double)x)];
            for (int n = 0; n < s.Pairs; n++)
            {
                (int i, int j) = s.Interleaved ? (2 * n, (2 * n) + 1) : (n, n + s.Pairs);
                double c = cos[(position * s.Pairs) + n], t = sin[(position * s.Pairs) + n], x = row[i], y = row[j];
                (row[i], row[j]) = ((x * c) - (y * t), (y * c) + (x * t));
            }
            return row;
        }

        // Values are below 2, products and sums below 8: float32 loses 1e-6 at most, then the result is rounded to the type.
        void Row(string what, long address, int row, int size, double[] expected)
        {
            for (int d = 0; d < size; d++)
            {
                float actual = s.Type.Load((void*)address, ((long)row * size) + d);
                double rounding = Math.Abs(expected[d]) * (s.Type switch { ElementType.Float16 => Math.Pow(2, -11), ElementType.BFloat16 => Math.Pow(2, -8), _ => 0 });
                Assert.True(Math.Abs(actual - expected[d]) <= 2e-6 + rounding, $"{what} row {row}, element {d} is {actual:R}, expected {expected[d]:R}; {s}");
            }
        }
    }

    private static byte[] Bytes(ElementType type, float[] values)
    {
        byte[] bytes = new byte[values.Length * type.Size()];
        fixed (byte* target = bytes)
        {
            for (int i = 0; i < values.Length; i++)
            {
                type.Store(target, i, values[i]);
            }
        }
        return bytes;
    }

    internal sealed record Setup(ElementType Type, int Size, int ValueSize, int Pairs, bool Interleaved)
    {
        /// <summary>Rows of query, key and value.</summary>
        public required int NewKeys { get; init; }

        public required int PastLength { get; init; }

        public required int KeyLength { get; init; }

        public required int PresentLength { get; init; }

        /// <summary>[B] valid keys after the call.</summary>
        public required int[] Valid { get; init; }

        public bool LengthsGiven { get; init; } = true;

        /// <summary>What the device holds, instead of Valid - 1.</summary>
        public int[]? Lengths { get; init; }

        /// <summary>Past and present are one buffer.</summary>
        public bool Shared { get; init; }

        public long[] PositionIds { get; init; } = [];
    }
}
