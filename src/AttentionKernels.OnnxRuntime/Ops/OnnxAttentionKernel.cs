using AttentionKernels.Cpu;
using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Ops.OnnxAttentionOp;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>A node of <see cref="OnnxAttentionOp"/>: checks its inputs, fills the problem, calls the engine.</summary>
internal sealed unsafe class OnnxAttentionKernel(OnnxAttentionOp op) : CustomOpKernel
{
    public required OverriddenNode Node { get; init; }

    /// <summary>q_num_heads; null: not given, as it must be with inputs [B, H, S, D].</summary>
    public required int? Heads { get; init; }

    /// <summary>kv_num_heads.</summary>
    public required int? KvHeads { get; init; }

    /// <summary>scale; null: 1 / sqrt(D).</summary>
    public required float? Scale { get; init; }

    public required float Softcap { get; init; }

    public required bool Causal { get; init; }

    public required int Window { get; init; }

    /// <summary>What qk_matmul_output holds.</summary>
    public required LogitStage MatrixStage { get; init; }

    /// <summary>The device; null: the processor.</summary>
    public required CudaNode? Cuda { get; init; }

    public override void Compute(in KernelContext context)
    {
        ElementType type = op.ElementType;
        TensorArgument query = Argument.Required(context, Query, "Q");
        TensorArgument key = Argument.Required(context, Key, "K");
        TensorArgument value = Argument.Required(context, Value, "V");
        bool flat = query.Rank == 3;
        if (flat)
        {
            Argument.CheckShape(query, "Q", "[B, S, q_num_heads * D]", Argument.Any, Argument.Any, Argument.Any);
        }
        else
        {
            Argument.CheckShape(query, "Q", "[B, q_num_heads, S, D] or [B, S, q_num_heads * D]", Argument.Any, Argument.Any, Argument.Any, Argument.Any);
        }
        int batch = Argument.Dimension(query, "Q", 0), rows = Argument.Dimension(query, "Q", flat ? 1 : 2);
        int heads = HeadCount(query, "Q", "q_num_heads", Heads, flat), size = HeadSize(query, "Q", "q_num_heads", heads, flat);
        long any = Argument.Any;
        Argument.CheckShape(key, "K", flat ? "[B, new keys, kv_num_heads * D]" : "[B, kv_num_heads, new keys, D]", flat ? [batch, any, any] : [batch, any, any, size]);
        int kvHeads = HeadCount(key, "K", "kv_num_heads", KvHeads, flat), newKeys = Argument.Dimension(key, "K", flat ? 1 : 2);
        if (heads % kvHeads != 0)
        {
            throw Argument.Error($"input 'K' has {kvHeads} heads, expected a divisor of the {heads} heads of 'Q'");
        }
        if (flat)
        {
            Argument.CheckShape(key, "K", "[B, new keys, kv_num_heads * D]", batch, newKeys, (long)kvHeads * size);
        }
        Argument.CheckShape(
            value, "V", flat ? "[B, new keys, kv_num_heads * Dv]" : "[B, kv_num_heads, new keys, Dv]", flat ? [batch, newKeys, any] : [batch, kvHeads, newKeys, any]);
        int valueSize = HeadSize(value, "V", "kv_num_heads", kvHeads, flat);

        AttentionProblem problem = new()
        {
            Batch = batch,
            Heads = heads,
            KvHeads = kvHeads,
            QueryLength = rows,
            HeadSize = size,
            ValueHeadSize = valueSize,
            Query = View(query.Data, heads, rows, size),
            Key = View(key.Data, kvHeads, newKeys, size),
            Value = View(value.Data, kvHeads, newKeys, valueSize),
            Scale = Scale ?? 1 / MathF.Sqrt(size),
            Softcap = Softcap,
            Window = Window,
            Causal = Causal,
        };
        PastTokens past = PastTokens.Read(context, PastKey, type, problem);
        if ((long)past.Rows + newKeys > AttentionProblem.MaxLength)
        {
            throw Argument.Error($"input 'K' has {newKeys} rows behind {past.Rows} past ones, expected at most {AttentionProblem.MaxLength} keys");
        }
        int keys = problem.KeyLength = past.Rows + newKeys;

        // [B] keys that are not padding, [B] position of row 0 among them.
        using ScratchBuffer small = context.Scratch(2L * batch, sizeof(int));
        problem.KeyLengths = (int*)small.Data;
        problem.QueryOffsets = problem.KeyLengths + batch;
        Span<int> keyLengths = new(problem.KeyLengths, batch);
        ReadKeyLengths(context, past.IsGiven, past.Rows, rows, keys, keyLengths, new Span<int>(problem.QueryOffsets, batch));

        bool hasMask = context.TryGetInput(Mask, out TensorArgument mask);
        bool isBool = hasMask && mask.ElementType == OnnxElementType.Bool;
        using ScratchBuffer converted = context.Scratch(isBool && Cuda == null ? mask.ElementCount : 0, sizeof(float));
        using DeviceBuffer convertedThere = isBool && Cuda != null ? Cuda.Scratch(context, checked((nuint)mask.ElementCount * (nuint)type.Size())) : default;
        problem.Bias = hasMask ? ReadMask(mask, batch, heads, rows, keys, keyLengths) : default;
        if (isBool)
        {
            // In its own shape.
            TensorView given = problem.Bias;
            problem.Bias = Cuda != null
                ? new TensorView(convertedThere.Data, type, given.BatchStride, given.HeadStride, given.RowStride)
                : new TensorView(Hide(mask, (float*)converted.Data), ElementType.Float32, given.BatchStride, given.HeadStride, given.RowStride);
        }
        problem.Output = View(
            flat ? context.Output(Output, batch, rows, (long)heads * valueSize) : context.Output(Output, batch, heads, rows, valueSize), heads, rows, valueSize);
        SequenceLengths lengths = new() { Keys = keys, NewKeys = newKeys };
        if (Cuda != null)
        {
            // Lengths and positions are on the host.
            CudaCall call = new() { Problem = problem, HostKeyLengths = problem.KeyLengths, HostQueryOffsets = problem.QueryOffsets };
            call.Problem.KeyLengths = call.Problem.QueryOffsets = null;
            call.Mask = isBool ? MaskOf(mask) : default;
            using CudaKeyValueCache joined = new() { Past = past, Lengths = lengths, PresentKeyOutput = PresentKey, PresentValueOutput = PresentValue };
            joined.Prepare(context, Cuda, ref call);
            Node.Attend(context, Cuda, call);
            return;
        }
        using KeyValueCache cache = new() { Past = past, Lengths = lengths, PresentKeyOutput = PresentKey, PresentValueOutput = PresentValue };
        cache.Prepare(context, ref problem);
        Node.Attend(context, problem, new LogitOutput { Data = context.Output(Matrix, batch, heads, rows, keys), Stage = MatrixStage, Hidden = float.NegativeInfinity });

        TensorView View(void* data, int count, int length, int width) =>
            flat ? TensorView.Bshd(data, type, count, length, width) : TensorView.Bhsd(data, type, count, length, width);
    }

    /// <summary>Heads of an input: its second dimension, or what the attribute says where heads lie side by side.</summary>
    private static int HeadCount(in TensorArgument input, string name, string attribute, int? given, bool flat)
    {
        if (flat)
        {
            return given ?? throw Argument.Error($"attribute '{attribute}' is missing, expected the number of heads of '{name}', which has 3 dimensions");
        }
        int count = Argument.Dimension(input, name, 1);
        return count == 0 ? throw Argument.Error($"input '{name}' has no heads, expected 1 or more along axis 1")
            : given is int other && other != count ? throw Argument.Error($"input '{name}' has {count} heads along axis 1, expected {attribute} = {other}")
            : count;
    }

    private static int HeadSize(in TensorArgument input, string name, string attribute, int heads, bool flat)
    {
        if (flat)
        {
            return Argument.HeadSize(input, name, attribute, heads);
        }
        int size = Argument.Dimension(input, name, 3);
        return size is >= 1 and <= AttentionProblem.MaxHeadSize ? size
            : throw Argument.Error($"input '{name}' has heads of {size}, expected 1..{AttentionProblem.MaxHeadSize} along axis 3");
    }

    /// <summary>
    /// nonpad_kv_seqlen, and where row 0 stands: behind the past; else, where lengths are given, so that the last row is the last valid
    /// key; else at key 0.
    /// </summary>
    private static void ReadKeyLengths(in KernelContext context, bool hasPast, int past, int rows, int keys, Span<int> keyLengths, Span<int> offsets)
    {
        keyLengths.Fill(keys);
        offsets.Fill(past);
        if (!context.TryGetInput(KeyLengths, out TensorArgument lengths))
        {
            return;
        }
        if (hasPast)
        {
            throw Argument.Error("input 'nonpad_kv_seqlen' is given together with 'past_key', expected at most one of them");
        }
        Argument.CheckShape(lengths, "nonpad_kv_seqlen", "[B]", keyLengths.Length);
        for (int b = 0; b < keyLengths.Length; b++)
        {
            long valid = ((long*)lengths.Data)[b];
            if (valid < 0 || valid > keys)
            {
                throw Argument.Error($"input 'nonpad_kv_seqlen' has {valid} at {b}, expected 0..{keys}");
            }
            keyLengths[b] = (int)valid;
            offsets[b] = (int)valid - rows;
        }
    }

    /// <summary>
    /// attn_mask as a bias: any shape that broadcasts to [B, H, S, T], and fewer keys than T, which hides the rest.
    /// </summary>
    private TensorView ReadMask(in TensorArgument mask, int batch, int heads, int rows, int keys, Span<int> keyLengths)
    {
        Span<long> full = [batch, heads, rows, keys], shape = [1, 1, 1, 1];
        bool fits = mask.Rank is >= 1 and <= 4;
        for (int axis = 4 - mask.Rank; fits && axis < 4; axis++)
        {
            shape[axis] = mask.Shape[axis - (4 - mask.Rank)];
            fits = axis < 3 ? shape[axis] == 1 || shape[axis] == full[axis] : shape[axis] <= keys;
        }
        if (!fits)
        {
            throw Argument.Error(
                $"input 'attn_mask' has shape [{string.Join(',', mask.Shape.ToArray())}], expected at most 4 dimensions that broadcast to [{batch},{heads},{rows},{keys}] = "
                + "[B, q_num_heads, S, T], the last one T or less");
        }
        int maskKeys = (int)shape[3];
        foreach (ref int length in keyLengths)
        {
            length = Math.Min(length, maskKeys);
        }
        return new TensorView(
            mask.Data, op.ElementType,
            shape[0] == 1 ? 0 : shape[1] * shape[2] * maskKeys,
            shape[1] == 1 ? 0 : shape[2] * maskKeys,
            shape[2] == 1 ? 0 : maskKeys);
    }

    /// <summary>A bool mask as 0 and -inf.</summary>
    private static float* Hide(in TensorArgument mask, float* converted)
    {
        for (long i = 0; i < mask.ElementCount; i++)
        {
            converted[i] = ((byte*)mask.Data)[i] != 0 ? 0 : float.NegativeInfinity;
        }
        return converted;
    }

    /// <summary>The same, to be done on a device: its rows one after the other.</summary>
    private static CudaMask MaskOf(in TensorArgument mask)
    {
        int keys = (int)mask.Shape[^1];
        return new CudaMask
        {
            Data = mask.Data,
            ElementBytes = 1,
            BatchStride = keys,
            Batch = keys == 0 ? 0 : checked((int)(mask.ElementCount / keys)),
            Heads = 1,
            Rows = 1,
            Keys = keys,
            Filter = float.NegativeInfinity,
        };
    }
}
