using AttentionKernels.Cpu;
using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>
/// <see cref="KeyValueCache"/> on a device: says where the new rows of a call go and what attention reads, and leaves the work to the first kernel of the call. Dispose after the call.
/// </summary>
internal unsafe ref struct CudaKeyValueCache
{
    private DeviceBuffer _memory;

    /// <summary>What stands before the new rows.</summary>
    public PastTokens Past { get; init; }

    /// <summary>Keys of the call, and how many are new.</summary>
    public required SequenceLengths Lengths { get; init; }

    /// <summary>Input seqlens_k [B] on the device, which lengths and positions follow; null: the host knows them.</summary>
    public int* SeqlensK { get; init; }

    /// <summary>Whether an element's new keys end at its own length, and not at the end of all keys.</summary>
    public bool FollowsLengths { get; init; }

    /// <summary>Positions of the outputs present_key and present_value; negative: the operator has none.</summary>
    public int PresentKeyOutput { get; init; } = -1;

    /// <inheritdoc cref="PresentKeyOutput"/>
    public int PresentValueOutput { get; init; } = -1;

    /// <summary>Rotation of query and keys; <c>default</c>: none.</summary>
    public RotaryInputs Rotary { get; init; }

    /// <summary>How dimensions pair up.</summary>
    public bool RotaryInterleaved { get; init; }

    /// <summary>[heads, D or Dv] added to every row of query, keys and values; null: none.</summary>
    public void* QueryBias { get; init; }

    /// <inheritdoc cref="QueryBias"/>
    public void* KeyBias { get; init; }

    /// <inheritdoc cref="QueryBias"/>
    public void* ValueBias { get; init; }

    /// <summary>[H] sinks of the tensors' type; null: none, or the problem has them.</summary>
    public void* HeadSink { get; init; }

    public CudaKeyValueCache()
    {
    }

    /// <summary>Completes a call whose query, key and value are the new rows.</summary>
    public void Prepare(in KernelContext context, CudaNode node, ref CudaCall call)
    {
        ref AttentionProblem problem = ref call.Problem;
        ElementType type = problem.Key.Type;
        bool values = !problem.Value.IsEmpty;
        int room = Math.Max(Past.Rows, Lengths.Keys);
        void* presentKey = PresentKeyOutput < 0 ? null : context.Output(PresentKeyOutput, problem.Batch, problem.KvHeads, room, problem.HeadSize);
        void* presentValue = PresentValueOutput < 0 ? null : context.Output(PresentValueOutput, problem.Batch, problem.KvHeads, room, problem.ValueHeadSize);

        // Once over nothing to measure, once over memory.
        ScratchCursor measure = new(null);
        LayOut(ref measure, problem, values, room, presentKey, presentValue);
        _memory = node.Scratch(context, measure.Used);
        ScratchCursor memory = new(_memory.Data);
        (nint ownKey, nint ownValue, nint query, nint lengths, nint sinks) = LayOut(ref memory, problem, values, room, presentKey, presentValue);

        call.Append = new CudaAppend
        {
            Query = problem.Query,
            Key = problem.Key,
            Value = problem.Value,
            NewKeys = Lengths.NewKeys,
            PastKey = Past.Key,
            PastValue = Past.Value,
            PastLength = Past.Rows,
            PresentKey = (void*)ownKey,
            PresentValue = (void*)ownValue,
            PresentLength = room,
            MovedQuery = (void*)query,
            CosCache = Rotary.Cos,
            SinCache = Rotary.Sin,
            PositionIds = Rotary.PositionIds,
            RotaryPairs = Rotary.Pairs,
            Positions = Rotary.Positions,
            Interleaved = RotaryInterleaved,
            QueryBias = QueryBias,
            KeyBias = KeyBias,
            ValueBias = ValueBias,
            NarrowSink = sinks == 0 ? null : HeadSink,
            SeqlensK = SeqlensK,
            FollowsLengths = FollowsLengths,
        };
        if (SeqlensK != null)
        {
            problem.KeyLengths = (int*)lengths;
            problem.QueryOffsets = (int*)lengths + problem.Batch;
        }
        if (HeadSink != null)
        {
            problem.HeadSink = sinks == 0 ? (float*)HeadSink : (float*)sinks;
        }
        problem.Query = query == 0 ? problem.Query : TensorView.Bhsd((void*)query, type, problem.Heads, problem.QueryLength, problem.HeadSize);
        problem.Key = Read((void*)ownKey, Past.Key, problem.KvHeads, room, problem.HeadSize, problem.Key);
        problem.Value = !values ? default : Read((void*)ownValue, Past.Value, problem.KvHeads, room, problem.ValueHeadSize, problem.Value);
    }

    public void Dispose() => _memory.Dispose();

    /// <summary>Where keys, values and the moved query go, lengths with positions, and wide sinks: outputs, scratch memory, or nowhere because they are read where they lie.</summary>
    private readonly (nint Key, nint Value, nint Query, nint Lengths, nint Sinks) LayOut(
        ref ScratchCursor memory, in AttentionProblem problem, bool values, int room, void* presentKey, void* presentValue)
    {
        nuint element = (nuint)problem.Key.Type.Size(), rows = (nuint)problem.Batch * (nuint)problem.KvHeads * (nuint)room;
        bool rotates = Rotary.Pairs > 0, isNew = Lengths.NewKeys > 0, moves = rotates || QueryBias != null;
        void* key = presentKey != null ? presentKey : isNew && (Past.IsGiven || rotates || KeyBias != null) ? memory.Take(checked(rows * (nuint)problem.HeadSize * element)) : null;
        void* value = !values ? null : presentValue != null ? presentValue : isNew && (Past.IsGiven || ValueBias != null) ? memory.Take(checked(rows * (nuint)problem.ValueHeadSize * element)) : null;
        nuint queryRows = (nuint)problem.Batch * (nuint)problem.Heads * (nuint)problem.QueryLength;
        void* query = moves ? memory.Take(checked(queryRows * (nuint)problem.HeadSize * element)) : null;
        void* lengths = SeqlensK != null ? memory.Take(2 * (nuint)problem.Batch * sizeof(int)) : null;
        void* sinks = HeadSink != null && problem.Key.Type != ElementType.Float32 ? memory.Take((nuint)problem.Heads * sizeof(float)) : null;
        return ((nint)key, (nint)value, (nint)query, (nint)lengths, (nint)sinks);
    }

    private readonly TensorView Read(void* joined, void* past, int heads, int room, int size, in TensorView added)
    {
        void* all = joined != null ? joined : Lengths.NewKeys == 0 ? past : null;
        return all == null ? added : TensorView.Bhsd(all, added.Type, heads, room, size);
    }
}
