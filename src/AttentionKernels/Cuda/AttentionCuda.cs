using static AttentionKernels.Cuda.KernelParameter;

namespace AttentionKernels.Cuda;

/// <summary>
/// The CUDA engine: plans a call on the host and puts its kernels into a stream. Waits for nothing, allocates nothing on the device, and launches in a fixed order kernels that sum in a
/// fixed order: the same call gives the same bits.
/// </summary>
/// <remarks>
/// <code>
/// new rows to append       AppendKeyValue first
/// a mask                   MaskBias next
/// no rows of U, few rows   Decode, DecodeCombine
/// no rows of U             PrefillPlain
/// rows of U                PrefillPlain over row blocks without rows of U, PrefillClasses over the others, HeadScores, SocialBias
/// scores only              ScoresOnly over row blocks with rows of U, HeadScores
///                          by speaker: ScoresOnly again over row blocks with rows of several speakers, SpeakerScores
/// </code>
/// PrefillOptions takes over from both where there is a soft-cap, a dense bias or a scale of 0 or less, and PrefillSimt from all and from ScoresOnly where tensors do not fit tensor cores.
/// A call with rows of U, or with lengths that only the host has, uploads its plan in one copy from pinned memory, which cannot be captured into a CUDA graph: a graph would copy, each time
/// it runs, whatever the memory holds then. Without them nothing is uploaded and nothing read on the host.
/// </remarks>
internal static unsafe class AttentionCuda
{
    /// <summary>The kernels that calls may launch, for a type and head size: what to load before a run.</summary>
    /// <param name="kernels">The kernels that there are.</param>
    /// <param name="type">Element type.</param>
    /// <param name="headSize">Head size; 0: not known yet, so those of any.</param>
    public static IEnumerable<KernelEntry> KernelsFor(KernelManifest kernels, ElementType type, int headSize) =>
        kernels.Entries.Where(kernel => (kernel.Type ?? type) == type && (kernel.HeadSize == 0 || headSize == 0 || kernel.HeadSize == headSize));

    /// <summary>Bytes of device memory that a call needs.</summary>
    /// <param name="queue">The stream.</param>
    /// <param name="call">The call, valid: see <see cref="CudaCall.Validate"/>.</param>
    /// <exception cref="NotSupportedException">There is no kernel for it.</exception>
    public static nuint ScratchBytes(ref CudaQueue queue, in CudaCall call) => CudaPlan.Make(call, queue.Kernels, queue.Multiprocessors, null, null).DeviceBytes;

    /// <summary>Puts a call into a stream.</summary>
    /// <param name="queue">The stream.</param>
    /// <param name="call">The call, valid: see <see cref="CudaCall.Validate"/>. Host memory of it is not read after this returns.</param>
    /// <param name="scratch">Device memory, 64-byte aligned, for as long as the call runs.</param>
    /// <param name="bytes">Its size: <see cref="ScratchBytes"/>.</param>
    public static void Run(ref CudaQueue queue, in CudaCall call, void* scratch, nuint bytes)
    {
        CudaPlan size = CudaPlan.Make(call, queue.Kernels, queue.Multiprocessors, null, null);
        if (size.DeviceBytes > bytes)
        {
            throw new ArgumentException($"scratch is {bytes} bytes, expected {size.DeviceBytes}");
        }
        void* staged = size.UploadBytes == 0 ? null : queue.Stage(size.StagedBytes);
        CudaPlan plan = CudaPlan.Make(call, queue.Kernels, queue.Multiprocessors, staged, scratch);
        if (plan.Spoken == 0)
        {
            ClearResults(ref queue, call);
        }
        if (call.Problem.Batch == 0 || call.Problem.QueryLength == 0)
        {
            return;
        }

        KernelArguments arguments = default;
        SetProblem(ref arguments, call, plan);
        SetUploaded(ref arguments, plan);
        (int plainBlocks, int splitBlocks) = (0, 0);
        if (plan.UploadBytes > 0)
        {
            (plainBlocks, splitBlocks) = plan.Fill(call);
            queue.Upload(plan.Uploaded, plan.Prepared, plan.UploadBytes);
        }
        if (call.ClearsHeadSink)
        {
            queue.Clear(call.Problem.HeadSink, (nuint)call.Problem.Heads * sizeof(float));
        }
        if (plan.Append != null)
        {
            LaunchAppend(ref queue, call, plan);
        }
        if (plan.Masking != null)
        {
            LaunchMask(ref queue, call, plan.Masking);
        }
        if (plan.Decode != null)
        {
            LaunchDecode(ref queue, ref arguments, call.Problem, plan);
            return;
        }
        if (plan.Spoken == 0)
        {
            if (plan.Plain != null)
            {
                int rowBlocks = CudaPlan.DivideUp(call.Problem.QueryLength, plan.Plain.Rows);
                LaunchBlocks(ref queue, ref arguments, call.Problem, plan.Plain, null, checked(call.Problem.Batch * rowBlocks));
            }
            return;
        }
        if (plainBlocks > 0)
        {
            LaunchBlocks(ref queue, ref arguments, call.Problem, plan.Plain!, plan.OnDevice(plan.PlainBlocks), plainBlocks);
        }
        LaunchBlocks(ref queue, ref arguments, call.Problem, plan.Split!, plan.OnDevice(plan.SplitBlocks), splitBlocks);
        FinishSpoken(ref queue, ref arguments, call, plan);
        if (plan.SpeakerGate != null)
        {
            ScoreSpeakers(ref queue, ref arguments, call, plan);
        }
    }

    /// <summary>Scores of a call without rows of U, such as a decode step, which runs as plain attention.</summary>
    private static void ClearResults(ref CudaQueue queue, in CudaCall call)
    {
        nuint bytes = (nuint)call.Problem.Batch * (nuint)call.Problem.Heads * sizeof(float);
        if (call.Bias.HeadScores != null && bytes > 0)
        {
            queue.Clear(call.Bias.HeadScores, bytes);
        }
        if (call.Bias.Alignment != null && bytes > 0)
        {
            queue.Clear(call.Bias.Alignment, 4 * bytes);
        }
        if (call.Bias.SpeakerScores != null && bytes > 0)
        {
            queue.Clear(call.Bias.SpeakerScores, (nuint)call.Bias.SpeakerCount * bytes);
        }
    }

    private static void LaunchAppend(ref CudaQueue queue, in CudaCall call, in CudaPlan plan)
    {
        ref readonly AttentionProblem problem = ref call.Problem;
        ref readonly CudaAppend append = ref call.Append;
        bool makesLengths = append.SeqlensK != null;
        KernelArguments arguments = default;
        SetTensor(ref arguments, append.Query, Query, QueryBatchStride);
        SetTensor(ref arguments, append.Key, Key, KeyBatchStride);
        SetTensor(ref arguments, append.Value, Value, ValueBatchStride);
        arguments.Set(PastKey, append.PastKey);
        arguments.Set(PastValue, append.PastValue);
        arguments.Set(PresentKey, append.PresentKey);
        arguments.Set(PresentValue, append.PresentValue);
        arguments.Set(MovedQuery, append.MovedQuery);
        arguments.Set(CosCache, append.CosCache);
        arguments.Set(SinCache, append.SinCache);
        arguments.Set(PositionIds, append.PositionIds);
        arguments.Set(QueryBias, append.QueryBias);
        arguments.Set(KeyBias, append.KeyBias);
        arguments.Set(ValueBias, append.ValueBias);
        arguments.Set(NarrowSink, append.NarrowSink);
        arguments.Set(WideSink, problem.HeadSink);
        void* lengths = plan.KeyLengths == null ? problem.KeyLengths : plan.OnDevice(plan.KeyLengths);
        arguments.Set(KernelParameter.KeyLengths, makesLengths ? append.SeqlensK : append.FollowsLengths ? lengths : null);
        arguments.Set(ValidLengths, makesLengths ? problem.KeyLengths : null);
        arguments.Set(RowOffsets, makesLengths ? problem.QueryOffsets : null);
        arguments.Set(Heads, problem.Heads);
        arguments.Set(KvHeads, problem.KvHeads);
        arguments.Set(QueryLength, problem.QueryLength);
        arguments.Set(KeyLength, problem.KeyLength);
        arguments.Set(NewKeys, append.NewKeys);
        arguments.Set(PastLength, append.PastLength);
        arguments.Set(PresentLength, append.PresentLength);
        arguments.Set(HeadSize, problem.HeadSize);
        arguments.Set(ValueHeadSize, problem.ValueHeadSize);
        arguments.Set(RotaryPairs, append.RotaryPairs);
        arguments.Set(Interleaved, append.Interleaved ? 1 : 0);
        arguments.Set(Positions, append.Positions);
        arguments.Set(LengthAdd, makesLengths ? 1 : 0);

        // A row of the grid for each row of the query, and for each row that is written: new ones alone where past and present are one buffer.
        int keys = append.PresentKey == null ? 0 : append.PresentKey == append.PastKey ? append.NewKeys : append.PresentLength;
        int values = append.PresentValue == null ? 0 : append.PresentValue == append.PastValue ? append.NewKeys : append.PresentLength;
        int rows = Math.Max(Math.Max(1, append.MovedQuery == null ? 0 : problem.QueryLength), Math.Max(keys, values));
        queue.Launch(plan.Append!, new Grid(CudaPlan.DivideUp(rows, plan.Append!.Rows), problem.Heads + (2 * problem.KvHeads), problem.Batch), ref arguments);
    }

    /// <summary>Makes the problem's bias of a mask.</summary>
    private static void LaunchMask(ref CudaQueue queue, in CudaCall call, KernelEntry kernel)
    {
        ref readonly CudaMask mask = ref call.Mask;
        KernelArguments arguments = default;
        arguments.Set(Mask, mask.Data);
        arguments.Set(MaskBatchStride, mask.BatchStride);
        arguments.Set(MaskTokenStride, mask.RowStride);
        arguments.Set(MaskBytes, mask.ElementBytes);
        SetTensor(ref arguments, mask.Bias, KernelParameter.Bias, BiasBatchStride);
        arguments.Set(Sum, call.Problem.Bias.Data);
        arguments.Set(Heads, mask.Heads);
        arguments.Set(QueryLength, mask.Rows);
        arguments.Set(KeyLength, mask.Keys);
        arguments.Set(Filter, mask.Filter);
        queue.Launch(kernel, new Grid(checked(mask.Batch * mask.Heads * mask.Rows), CudaPlan.DivideUp(mask.Keys, kernel.Keys)), ref arguments);
    }

    private static void LaunchDecode(ref CudaQueue queue, ref KernelArguments arguments, in AttentionProblem problem, in CudaPlan plan)
    {
        arguments.Set(PartialStats, plan.PartialStats);
        arguments.Set(PartialOutputs, plan.PartialOutputs);
        arguments.Set(Splits, plan.Splits);
        arguments.Set(ChunkKeys, plan.ChunkKeys);
        int rowGroups = CudaPlan.DivideUp(problem.Heads / problem.KvHeads * problem.QueryLength, plan.Decode!.Rows);
        queue.Launch(plan.Decode, new Grid(plan.Splits, problem.KvHeads * rowGroups, problem.Batch), ref arguments);
        queue.Launch(plan.Combine!, new Grid(checked(problem.Batch * problem.Heads * problem.QueryLength)), ref arguments);
    }

    private static void LaunchBlocks(ref CudaQueue queue, ref KernelArguments arguments, in AttentionProblem problem, KernelEntry kernel, void* blocks, int count)
    {
        // Columns of the values that a block of the kernel without tensor cores has.
        const int Columns = 128;

        arguments.Set(Blocks, blocks);
        arguments.Set(RowBlocks, CudaPlan.DivideUp(problem.QueryLength, kernel.Rows));
        int columns = kernel.HeadSize != 0 || problem.Value.IsEmpty ? 1 : CudaPlan.DivideUp(problem.ValueHeadSize, Columns);
        queue.Launch(kernel, new Grid(count, problem.Heads, columns), ref arguments);
    }

    /// <summary>The gate, then the rows of U.</summary>
    private static void FinishSpoken(ref CudaQueue queue, ref KernelArguments arguments, in CudaCall call, in CudaPlan plan)
    {
        float* scores = call.Bias.HeadScores != null ? call.Bias.HeadScores : plan.HeadScores;
        void* given = plan.HostGate != null ? plan.OnDevice(plan.HostGate) : call.Bias.HeadScoresIn;
        arguments.Set(KernelParameter.HeadScores, scores);
        arguments.Set(HeadScoresIn, given);
        arguments.Set(KernelParameter.Alignment, call.Bias.Alignment);
        arguments.Set(Gates, given != null ? given : scores);
        arguments.Set(Lambda, call.Bias.Lambda);
        arguments.Set(Alpha, call.Bias.IsInert ? 0 : call.Bias.Alpha);
        arguments.Set(ClampNegative, call.Bias.ClampNegative ? 1 : 0);
        queue.Launch(plan.Gate!, new Grid(call.Problem.Heads, call.Problem.Batch), ref arguments);
        if (plan.Epilogue != null)
        {
            queue.Launch(plan.Epilogue, new Grid(CudaPlan.DivideUp(plan.Spoken, plan.Epilogue.Rows), call.Problem.Heads), ref arguments);
        }
    }

    /// <summary>Rows that share several speakers with keys, once more for each of them; then the scores by speaker.</summary>
    private static void ScoreSpeakers(ref CudaQueue queue, ref KernelArguments arguments, in CudaCall call, in CudaPlan plan)
    {
        ref readonly SpeakerPlan speakers = ref plan.Speakers;
        arguments.Set(KernelParameter.Run, plan.OnDevice(speakers.Run));
        arguments.Set(Aligned, plan.OnDevice(speakers.Aligned));
        arguments.Set(Stats, plan.Stats + ((long)plan.Spoken * CudaPlan.StatsPerRow));
        for (int pass = 0; pass < speakers.Passes; pass++)
        {
            if (speakers.BlockCounts[pass] > 0)
            {
                arguments.Set(SpokenIndex, plan.OnDevice(speakers.Index + ((long)pass * call.Problem.Batch * call.Problem.QueryLength)));
                LaunchBlocks(ref queue, ref arguments, call.Problem, plan.Split!, plan.OnDevice(speakers.BlocksOf(pass)), speakers.BlockCounts[pass]);
            }
        }
        arguments.Set(Stats, plan.Stats);
        arguments.Set(SpeakerStart, plan.OnDevice(speakers.SpeakerStart));
        arguments.Set(SpeakerRows, plan.OnDevice(speakers.SpeakerRows));
        arguments.Set(SpeakerPairs, plan.OnDevice(speakers.SpeakerPairs));
        arguments.Set(KernelParameter.SpeakerScores, call.Bias.SpeakerScores);
        queue.Launch(plan.SpeakerGate!, new Grid(call.Problem.Heads, call.Problem.Batch, call.Bias.SpeakerCount), ref arguments);
    }

    private static void SetProblem(ref KernelArguments arguments, in CudaCall call, in CudaPlan plan)
    {
        ref readonly AttentionProblem problem = ref call.Problem;
        SetTensor(ref arguments, problem.Query, Query, QueryBatchStride);
        SetTensor(ref arguments, problem.Key, Key, KeyBatchStride);
        SetTensor(ref arguments, problem.Value, Value, ValueBatchStride);
        SetTensor(ref arguments, problem.Output, Output, OutputBatchStride);
        SetTensor(ref arguments, problem.Bias, KernelParameter.Bias, BiasBatchStride);
        arguments.Set(HeadSink, problem.HeadSink);
        arguments.Set(KernelParameter.KeyLengths, problem.KeyLengths);
        arguments.Set(KernelParameter.QueryOffsets, problem.QueryOffsets);
        arguments.Set(Heads, problem.Heads);
        arguments.Set(KvHeads, problem.KvHeads);
        arguments.Set(QueryLength, problem.QueryLength);
        arguments.Set(KeyLength, problem.KeyLength);
        arguments.Set(HeadSize, problem.HeadSize);
        arguments.Set(ValueHeadSize, problem.ValueHeadSize);
        arguments.Set(Window, problem.Window);
        arguments.Set(Causal, problem.Causal ? 1 : 0);
        arguments.Set(Scale, problem.Scale);
        arguments.Set(Softcap, problem.Softcap);
        arguments.Set(Spoken, plan.SpokenPartials);
        arguments.Set(Stats, plan.Stats);
        arguments.Set(Outputs, plan.Outputs);
    }

    private static void SetUploaded(ref KernelArguments arguments, in CudaPlan plan)
    {
        if (plan.KeyLengths != null)
        {
            arguments.Set(KernelParameter.KeyLengths, plan.OnDevice(plan.KeyLengths));
        }
        if (plan.QueryOffsets != null)
        {
            arguments.Set(KernelParameter.QueryOffsets, plan.OnDevice(plan.QueryOffsets));
        }
        arguments.Set(SpokenIndex, plan.OnDevice(plan.Roles.SpokenIndex));
        arguments.Set(SpokenStart, plan.OnDevice(plan.Roles.SpokenStart));
        arguments.Set(SpokenRow, plan.OnDevice(plan.Roles.SpokenRow));
        arguments.Set(KernelParameter.Run, plan.OnDevice(plan.Roles.Run));
        arguments.Set(Aligned, plan.OnDevice(plan.Roles.Aligned));
        arguments.Set(AlignedKeys, plan.OnDevice(plan.Roles.AlignedKeys));
        arguments.Set(Boxed, plan.OnDevice(plan.Roles.Boxed));
        arguments.Set(BoxedCount, plan.OnDevice(plan.Roles.BoxedCount));
        arguments.Set(Tiles, plan.Roles.Tiles);
    }

    /// <summary>Sets an address and the three strides that follow one another.</summary>
    private static void SetTensor(ref KernelArguments arguments, in TensorView tensor, KernelParameter address, KernelParameter batchStride)
    {
        arguments.Set(address, tensor.Data);
        arguments.Set(batchStride, tensor.BatchStride);
        arguments.Set(batchStride + 1, tensor.HeadStride);
        arguments.Set(batchStride + 2, tensor.RowStride);
    }
}
