using AttentionKernels.Cuda;
using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The CUDA engine, on the emulator or on a device: against the reference, and by laws.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
[Collection(CudaCollection.Name)]
public sealed unsafe class AttentionCudaTests(StubDriver stub)
{
    private static readonly int[] HeadSizes = [64, 80, 96, 128];

    /// <summary>Every option, any head size, any layout.</summary>
    [Fact]
    public void Any_Case_Meets_The_Reference() => ForAll(60, nameof(Any_Case_Meets_The_Reference), (c, device) =>
    {
        c.ClearResults();
        device.Run(c);
        CudaTolerance.Check(c);
    });

    /// <summary>Cases that fit tensor cores.</summary>
    [Fact]
    public void Tensor_Cores_Meet_The_Reference() => ForAll(60, nameof(Tensor_Cores_Meet_The_Reference), (c, device) =>
    {
        c.ClearResults();
        device.Run(c);
        CudaTolerance.Check(c);
    }, OnTensorCores);

    /// <summary>Few rows: keys split over blocks and put together again.</summary>
    [Fact]
    public void Few_Rows_Meet_The_Reference() => ForAll(40, nameof(Few_Rows_Meet_The_Reference), (c, device) =>
    {
        c.ClearResults();
        device.Run(c);
        CudaTolerance.Check(c);
    }, spec => OnTensorCores(spec) with { S = 1 + (spec.Seed % 4), T = Math.Max(spec.T, 4), Roles = RoleMode.None });

    [Fact]
    public void The_Same_Call_Again_Gives_The_Same_Bits() => ForAll(20, nameof(The_Same_Call_Again_Gives_The_Same_Bits), (c, device) =>
    {
        device.Run(c);
        (float[] output, float[] scores, float[] alignment) = (c.Output(), c.HeadScores(), c.Alignment());
        c.ClearResults();
        device.Run(c);
        Same(output, c.Output(), "output", c);
        Same(scores, c.HeadScores(), "head scores", c);
        Same(alignment, c.Alignment(), "alignment", c);
    }, spec => spec.Seed % 2 == 0 ? OnTensorCores(spec) : spec);

    /// <summary>Each element of a batch alone has the bits that it has in the batch, but for few rows: how finely their keys are split depends on how many elements there are.</summary>
    [Fact]
    public void A_Batch_Is_Its_Elements() => ForAll(16, nameof(A_Batch_Is_Its_Elements), (c, device) =>
    {
        device.Run(c);
        (float[] output, float[] scores, float[] alignment) = (c.Output(), c.HeadScores(), c.Alignment());
        (AttentionProblem problem, SocialBias bias) = (c.Problem, c.Bias);
        c.ClearResults();
        for (int b = 0; b < c.Spec.B; b++)
        {
            AttentionProblem one = problem;
            SocialBias alone = bias;
            one.Batch = 1;
            one.Query = Element(problem.Query, b);
            one.Key = Element(problem.Key, b);
            one.Value = Element(problem.Value, b);
            one.Output = Element(problem.Output, b);
            one.Bias = Element(problem.Bias, b);
            one.KeyLengths = problem.KeyLengths == null ? null : problem.KeyLengths + b;
            one.QueryOffsets = problem.QueryOffsets == null ? null : problem.QueryOffsets + b;
            alone.Keys = Element(bias.Keys, b);
            alone.Queries = Element(bias.Queries, b);
            alone.HeadScoresIn = bias.HeadScoresIn == null ? null : bias.HeadScoresIn + (b * c.Spec.H);
            alone.HeadScores = bias.HeadScores == null ? null : bias.HeadScores + (b * c.Spec.H);
            alone.Alignment = bias.Alignment == null ? null : bias.Alignment + (b * c.Spec.H * 4);
            device.Run(c, one, alone);
        }
        Same(output, c.Output(), "output", c);
        Same(scores, c.HeadScores(), "head scores", c);
        Same(alignment, c.Alignment(), "alignment", c);
    }, spec => (spec.Seed % 2 == 0 ? OnTensorCores(spec) : spec) with { B = 2, Kv = 1, Group = Math.Min(spec.Group, 2), S = Math.Max(spec.S, 17), T = Math.Max(spec.T, 17) });

    /// <summary>Scores and alignment without values are those of the pass with values, within the tolerance of the same truth.</summary>
    [Fact]
    public void Scores_Alone_Meet_The_Reference()
    {
        Properties.ForAll(24, spec =>
        {
            using AttentionCase c = new(spec, nameof(Scores_Alone_Meet_The_Reference), scoresOnly: true);
            using TestDevice device = TestDevice.Open(stub);
            c.ClearResults();
            device.Run(c);
            CudaTolerance.Check(c);
        }, 0x5c0, spec => Small(spec.Seed % 2 == 0 ? OnTensorCores(spec) : spec) with { Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles });
    }

    /// <summary>New rows behind past ones, lengths on the device: the bits of the same attention over keys and values that the host put together.</summary>
    [Theory]
    [InlineData(3, 12)]
    [InlineData(20, 20)]
    public void Appended_Rows_Are_Attended_As_If_They_Had_Been_There(int rows, int keys)
    {
        const int Heads = 4, KvHeads = 2, Size = 64;
        int past = keys - rows;
        // Of the second element fewer keys are valid: the new rows end before the room does.
        int[] valid = [keys, rows == keys ? keys - 4 : keys - 2];
        using AttentionCase c = new(
            new CaseSpec { B = 2, Kv = KvHeads, Group = Heads / KvHeads, S = rows, T = keys, D = Size, Dv = Size, Type = ElementType.Float16, Causal = true, Lengths = true, Seed = 5 },
            nameof(Appended_Rows_Are_Attended_As_If_They_Had_Been_There));
        for (int b = 0; b < 2; b++)
        {
            c.Problem.KeyLengths[b] = valid[b];
            c.Problem.QueryOffsets[b] = rows == keys ? 0 : valid[b] - rows;
        }
        using TestDevice device = TestDevice.Open(stub);
        device.Run(c);
        float[] expected = c.Output();
        c.ClearResults();

        // The past has the rows before the new ones, and something else behind them.
        int room = keys + 1, elements = 2 * KvHeads * room * Size;
        using GuardedBuffer newKey = New(c.Problem.Key), newValue = New(c.Problem.Value), pastKey = Past(c.Problem.Key), pastValue = Past(c.Problem.Value);
        using GuardedBuffer presentKey = new(elements * 2), presentValue = new(elements * 2), seqlens = GuardedBuffer.Of<int>([valid[0] - 1, valid[1] - 1]), lengths = new(16);
        CudaCall call = new()
        {
            Problem = c.Problem with
            {
                Key = TensorView.Bhsd(presentKey.Data, ElementType.Float16, KvHeads, room, Size),
                Value = TensorView.Bhsd(presentValue.Data, ElementType.Float16, KvHeads, room, Size),
                KeyLengths = (int*)lengths.Data,
                QueryOffsets = (int*)lengths.Data + 2,
            },
            Append = new CudaAppend
            {
                Query = c.Problem.Query,
                Key = TensorView.Bshd(newKey.Data, ElementType.Float16, KvHeads, rows, Size),
                Value = TensorView.Bshd(newValue.Data, ElementType.Float16, KvHeads, rows, Size),
                NewKeys = rows,
                PastKey = past == 0 ? null : pastKey.Data,
                PastValue = past == 0 ? null : pastValue.Data,
                PastLength = past == 0 ? 0 : room,
                PresentKey = presentKey.Data,
                PresentValue = presentValue.Data,
                PresentLength = room,
                SeqlensK = (int*)seqlens.Data,
            },
        };
        (string, GuardedBuffer, bool)[] buffers =
        [
            ("new key", newKey, false), ("new value", newValue, false), ("past key", pastKey, false), ("past value", pastValue, false), ("seqlens_k", seqlens, false),
            ("present key", presentKey, true), ("present value", presentValue, true), ("lengths", lengths, true),
        ];
        device.Run(c, call, buffers);
        Same(expected, c.Output(), "output", c);
        Assert.Equal([valid[0], valid[1], .. valid.Select(n => rows == keys ? 0 : n - rows)], lengths.Span<int>().ToArray());
        if (device is EmulatedDevice emulated)
        {
            // A device does not tell what it ran.
            Assert.Equal("AppendKeyValue", emulated.Launched[^(rows > 16 ? 2 : 3)]);
        }

        GuardedBuffer New(TensorView all)
        {
            Half[] tensor = new Half[2 * rows * KvHeads * Size];
            Visit((b, h, s, d) =>
            {
                int row = s - (rows == keys ? 0 : valid[b] - rows);
                if (row >= 0 && row < rows)
                {
                    tensor[(((((b * rows) + row) * KvHeads) + h) * Size) + d] = (Half)all.Load(b, h, s, d);
                }
            });
            return GuardedBuffer.Of<Half>(tensor);
        }

        GuardedBuffer Past(TensorView all)
        {
            Half[] tensor = new Half[elements];
            Array.Fill(tensor, Half.NaN);
            Visit((b, h, s, d) => tensor[(((((b * KvHeads) + h) * room) + s) * Size) + d] = s < valid[b] - rows ? (Half)all.Load(b, h, s, d) : Half.NaN);
            return GuardedBuffer.Of<Half>(tensor);
        }

        void Visit(Action<int, int, int, int> action)
        {
            for (int n = 0; n < 2 * KvHeads * keys * Size; n++)
            {
                action(n / (KvHeads * keys * Size), n / (keys * Size) % KvHeads, n / Size % keys, n % Size);
            }
        }
    }

    private void ForAll(int cases, string test, Action<AttentionCase, TestDevice> law, Func<CaseSpec, CaseSpec>? restrict = null) => Properties.ForAll(
        cases,
        spec =>
        {
            using AttentionCase c = new(spec, test);
            using TestDevice device = TestDevice.Open(stub);
            law(c, device);
        },
        (ulong)test.Length,
        spec => Small(restrict == null ? spec : restrict(spec)));

    private static CaseSpec Small(CaseSpec spec) => spec with
    {
        B = Math.Min(spec.B, 2),
        Kv = Math.Min(spec.Kv, 2),
        Group = spec.S > 40 ? 1 : Math.Min(spec.Group, 7),
        S = Math.Min(spec.S, spec.Roles == RoleMode.Cross ? TestDevice.Size(300, 140) : Math.Min(spec.T, TestDevice.Size(300, 140))),
        T = Math.Min(spec.T, TestDevice.Size(300, 200)),
    };

    private static CaseSpec OnTensorCores(CaseSpec spec)
    {
        int size = HeadSizes[spec.Seed % HeadSizes.Length];
        return spec with
        {
            D = size,
            Dv = size,
            Type = spec.Seed / 4 % 2 == 0 ? ElementType.Float16 : ElementType.BFloat16,
            Layout = spec.Layout == LayoutMode.Padded ? LayoutMode.RowsFirst : spec.Layout,
        };
    }

    private static void Same(float[] expected, float[] actual, string what, AttentionCase c)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(
                BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i]) || (float.IsNaN(expected[i]) && float.IsNaN(actual[i])),
                $"{what}[{i}] is {actual[i]:R}, expected {expected[i]:R}; {c.Repro}");
        }
    }

    private static TensorView Element(TensorView tensor, int b) =>
        tensor.IsEmpty ? tensor : new TensorView((byte*)tensor.Data + (b * tensor.BatchStride * tensor.Type.Size()), tensor.Type, tensor.BatchStride, tensor.HeadStride, tensor.RowStride);

    private static TokenRoles Element(TokenRoles roles, int b) => roles.IsEmpty ? roles : roles with
    {
        Modality = roles.Modality + ((long)b * roles.Length),
        Speakers = roles.Speakers + ((long)b * roles.Length),
        Frames = roles.Frames + (2L * b * roles.Length),
    };
}
