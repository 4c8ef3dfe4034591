using AttentionKernels.Cuda;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The CUDA engine on an emulated device: against the reference, and by laws.</summary>
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
        Check(c);
    });

    /// <summary>Cases that fit tensor cores.</summary>
    [Fact]
    public void Tensor_Cores_Meet_The_Reference() => ForAll(60, nameof(Tensor_Cores_Meet_The_Reference), (c, device) =>
    {
        c.ClearResults();
        device.Run(c);
        Check(c);
    }, OnTensorCores);

    /// <summary>Few rows: keys split over blocks and put together again.</summary>
    [Fact]
    public void Few_Rows_Meet_The_Reference() => ForAll(40, nameof(Few_Rows_Meet_The_Reference), (c, device) =>
    {
        c.ClearResults();
        device.Run(c);
        Check(c);
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
            using EmulatedDevice device = new(stub);
            c.ClearResults();
            device.Run(c);
            Check(c);
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
        using EmulatedDevice device = new(stub);
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
        Assert.Equal("AppendKeyValue", device.Launched[^(rows > 16 ? 2 : 3)]);

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

    /// <summary>A plain call, and a decode step among them, asks for nothing that cannot be captured into a graph; a steered one for one copy beside.</summary>
    [Theory]
    [InlineData(1, RoleMode.None, "push launch launch pop")]
    [InlineData(40, RoleMode.None, "push launch pop")]
    [InlineData(40, RoleMode.Self, "push capturing alloc event copy record launch launch launch launch pop")]
    public void A_Run_Asks_The_Driver_For_No_More_Than_It_Must(int rows, RoleMode roles, string expected)
    {
        CaseSpec spec = new() { S = rows, T = 200, D = 64, Dv = 64, Type = ElementType.Float16, Roles = roles, Layout = LayoutMode.HeadsFirst, Lambda = -1, Seed = 4 };
        using AttentionCase c = new(spec, nameof(A_Run_Asks_The_Driver_For_No_More_Than_It_Must));
        using EmulatedDevice device = new(stub);
        int before = stub.Calls.Length;
        device.Run(c);
        Dictionary<string, string> names = new()
        {
            ["cuCtxPushCurrent"] = "push",
            ["cuCtxPopCurrent"] = "pop",
            ["cuLaunchKernel"] = "launch",
            ["cuStreamIsCapturing"] = "capturing",
            ["cuMemHostAlloc"] = "alloc",
            ["cuEventCreate"] = "event",
            ["cuMemcpyHtoDAsync"] = "copy",
            ["cuEventRecord"] = "record",
            ["cuMemsetD8Async"] = "clear",
        };
        string[] calls = [.. stub.CallNames[before..].Select(name => names[name])];
        Assert.Equal(expected.Split(' ').Distinct(), calls.Distinct());
        Assert.Equal(roles == RoleMode.None ? 0 : 1, calls.Count(name => name == "copy"));
    }

    /// <summary>Memory that the garbage collector manages would be allocated in each layer of each step.</summary>
    [Fact]
    public void A_Run_Allocates_Nothing()
    {
        CaseSpec spec = new() { S = 40, T = 90, D = 64, Dv = 64, Type = ElementType.Float16, Roles = RoleMode.Self, Lambda = -1, Seed = 4 };
        using AttentionCase c = new(spec, nameof(A_Run_Allocates_Nothing));
        stub.Reset();
        CudaContext context = new(new CudaDriver(stub.Path), 0, KernelManifest.Embedded);
        context.Load(KernelManifest.Embedded.Entries);
        CudaCall call = new() { Problem = c.Problem, Bias = c.Bias };
        call.Bias.SpeakerScores = null;
        call.Bias.SpeakerCount = 0;
        using GuardedBuffer scratch = new(1 << 22);
        long allocated = 0;
        for (int i = 0; i < 3; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            CudaQueue queue = new(context, null);
            AttentionCuda.Run(ref queue, call, scratch.Data, (nuint)scratch.Bytes);
            queue.Dispose();
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Assert.Equal(0, allocated);
    }

    [Fact]
    public void Wrong_Calls_Are_Named()
    {
        CaseSpec spec = new() { S = 8, T = 9, D = 8, Dv = 8, Roles = RoleMode.Self, Lengths = true };
        using AttentionCase c = new(spec, nameof(Wrong_Calls_Are_Named));
        SocialBias bias = c.Bias with { SpeakerScores = null, SpeakerCount = 0 };
        Assert.Equal(
            "KeyLengths are on the device and there are roles, expected HostKeyLengths",
            Assert.Throws<ArgumentException>(() => new CudaCall { Problem = c.Problem, Bias = bias }.Validate()).Message);
        float scores = 0;
        SocialBias speakers = bias with { SpeakerScores = &scores, SpeakerCount = 1 };
        CudaCall call = new() { Problem = c.Problem, Bias = speakers, HostKeyLengths = c.Problem.KeyLengths, HostQueryOffsets = c.Problem.QueryOffsets };
        Assert.Contains("no scores by speaker", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);

        int far = 1 << 29;
        call = new() { Problem = c.Problem with { Batch = 1 }, HostQueryOffsets = &far };
        Assert.Contains("QueryOffsets[0] is 536870912", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);
        call.HostQueryOffsets = null;
        call.Problem.KeyLength = far;
        Assert.Contains("KeyLength, QueryLength are 536870912, 8", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);
    }

    private void ForAll(int cases, string test, Action<AttentionCase, EmulatedDevice> law, Func<CaseSpec, CaseSpec>? restrict = null) => Properties.ForAll(
        cases,
        spec =>
        {
            using AttentionCase c = new(spec, test);
            using EmulatedDevice device = new(stub);
            law(c, device);
        },
        (ulong)test.Length,
        spec => Small(restrict == null ? spec : restrict(spec)));

    /// <summary>Emulation is some thousand times slower than a processor.</summary>
    private static CaseSpec Small(CaseSpec spec) => spec with
    {
        B = Math.Min(spec.B, 2),
        Kv = Math.Min(spec.Kv, 2),
        Group = spec.S > 40 ? 1 : Math.Min(spec.Group, 7),
        S = Math.Min(spec.S, spec.Roles == RoleMode.Cross ? 140 : Math.Min(spec.T, 140)),
        T = Math.Min(spec.T, 200),
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

    /// <summary>
    /// By the tolerance rule, and for what a GPU rounds beside: probabilities to 16 bits before they meet the values, which moves a mean of values by half a unit in the last place at most; and
    /// logits twice more, when they are multiplied by log2(e) for its exponential and when a bias of their own size is added.
    /// </summary>
    internal static void Check(AttentionCase c)
    {
        double unit = c.Spec.Type switch { ElementType.Float32 => 0, ElementType.Float16 => Math.ScaleB(1, -11), _ => Math.ScaleB(1, -8) };
        double logits = LargestLogit(c) * (1 + Math.Abs(c.Spec.Alpha)) * Math.ScaleB(1, -22), values = c.Problem.Value.IsEmpty ? 0 : Largest(c.Read(c.Problem.Value, c.Spec.Kv, c.Spec.T, c.Spec.Dv));
        c.Check(c.Output(), c.HeadScores(), c.Alignment(), null, (unit + logits) * values, logits);
    }

    private static double LargestLogit(AttentionCase c)
    {
        float[] query = c.Read(c.Problem.Query, c.Spec.H, c.Spec.S, c.Spec.D), key = c.Read(c.Problem.Key, c.Spec.Kv, c.Spec.T, c.Spec.D);
        double largest = 0;
        for (int row = 0; row < query.Length; row += c.Spec.D)
        {
            int head = row / (c.Spec.D * c.Spec.S), first = ((head / c.Spec.H * c.Spec.Kv) + (head % c.Spec.H / c.Spec.Group)) * c.Spec.T * c.Spec.D;
            for (int n = first; n < first + (c.Spec.T * c.Spec.D); n += c.Spec.D)
            {
                double dot = 0;
                for (int d = 0; d < c.Spec.D; d++)
                {
                    dot += (double)query[row + d] * key[n + d];
                }
                largest = Math.Abs(dot) > largest ? Math.Abs(dot) : largest;
            }
        }
        return largest * c.Problem.Scale;
    }

    /// <summary>NaN aside.</summary>
    private static double Largest(float[] values)
    {
        double largest = 0;
        foreach (float value in values)
        {
            largest = Math.Abs(value) > largest ? Math.Abs(value) : largest;
        }
        return largest;
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
