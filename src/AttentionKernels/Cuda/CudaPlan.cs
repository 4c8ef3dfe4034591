using AttentionKernels.Cpu;

namespace AttentionKernels.Cuda;

/// <summary>
/// Which kernels a call runs, and where its scratch memory goes. Device memory starts with a copy of what the host prepares, so that one upload brings all of it.
/// </summary>
internal unsafe struct CudaPlan
{
    /// <summary>Floats of a row of <see cref="Stats"/>.</summary>
    public const int StatsPerRow = 8;

    // Rows of each head up to which keys are split over blocks: a tile of the decode kernel, of which one head that shares its key head with no other then fills at most one.
    private const int DecodeRows = 16;

    /// <summary>Rows of U, and the utterances that they form.</summary>
    public int Spoken, Runs;

    /// <summary>Rows of partials: those of U, and those of passes for speakers.</summary>
    public readonly int SpokenPartials => Spoken + Speakers.Rows;

    /// <summary>Kernel of row blocks without rows of U, or of all of them; null: there are none, or scores alone are wanted.</summary>
    public KernelEntry? Plain;

    /// <summary>Kernel of row blocks with rows of U; null: there are none.</summary>
    public KernelEntry? Split;

    /// <summary>Kernels of few rows; null: <see cref="Plain"/> does it.</summary>
    public KernelEntry? Decode, Combine;

    /// <summary>Kernel of the new rows; null: nothing happens to them.</summary>
    public KernelEntry? Append;

    /// <summary>Kernel that makes the bias of a mask; null: there is none to make.</summary>
    public KernelEntry? Masking;

    /// <summary>Kernels that finish rows of U; <see cref="SpeakerGate"/> null: no scores by speaker are wanted.</summary>
    public KernelEntry? Gate, SpeakerGate, Epilogue;

    /// <summary>Parts into which <see cref="Decode"/> splits the keys, and keys of each.</summary>
    public int Splits, ChunkKeys;

    // ---- Prepared on the host, uploaded: addresses in staging memory. ----

    /// <summary>What the roles mean.</summary>
    public RolePlan Roles;

    /// <summary>What scores by speaker need beside.</summary>
    public SpeakerPlan Speakers;

    /// <summary>[at most B * row blocks] entries for <see cref="Plain"/> and <see cref="Split"/>.</summary>
    public int* PlainBlocks, SplitBlocks;

    /// <summary>[B] lengths and positions that only the host had; null: they are on the device, or nothing special.</summary>
    public int* KeyLengths, QueryOffsets;

    /// <summary>[B, H] scores for the gate that only the host had; null: none.</summary>
    public float* HostGate;

    /// <summary>Start of these.</summary>
    public byte* Prepared;

    /// <summary>Bytes to upload.</summary>
    public nuint UploadBytes;

    /// <summary>Bytes of staging memory: the upload, and what the host needs beside it.</summary>
    public nuint StagedBytes;

    // ---- Device memory. ----

    /// <summary>Where the upload goes.</summary>
    public byte* Uploaded;

    /// <summary>[H, SpokenPartials, 8] and [H, U, 2, Dv] partials of rows of U.</summary>
    public float* Stats, Outputs;

    /// <summary>[B, H] scores, where the caller wants none.</summary>
    public float* HeadScores;

    /// <summary>[B, H, S, splits, 2] and [B, H, S, splits, D] partials of few rows.</summary>
    public float* PartialStats, PartialOutputs;

    /// <summary>Bytes of device memory.</summary>
    public nuint DeviceBytes;

    /// <summary>Makes the plan. Over null it only measures.</summary>
    /// <param name="call">A valid call.</param>
    /// <param name="kernels">The kernels that there are.</param>
    /// <param name="multiprocessors">Of the device.</param>
    /// <param name="staged">Staging memory.</param>
    /// <param name="device">Device memory.</param>
    /// <exception cref="NotSupportedException">There is no kernel for the call.</exception>
    public static CudaPlan Make(in CudaCall call, KernelManifest kernels, int multiprocessors, void* staged, void* device)
    {
        ref readonly AttentionProblem problem = ref call.Problem;
        CudaPlan plan = default;
        if (problem.Batch == 0 || problem.QueryLength == 0)
        {
            return plan;
        }
        bool scoresOnly = problem.Value.IsEmpty;
        if (!IsInert(call))
        {
            (plan.Spoken, plan.Runs) = RolePlan.CountSpoken(call.HostProblem, call.Bias);
            plan.Speakers = call.Bias.SpeakerScores == null ? default : SpeakerPlan.Count(call.HostProblem, call.Bias);
        }
        plan.Append = call.Append.IsNeeded ? Require(kernels, "AppendKeyValue", problem.Query.Type) : null;
        plan.Masking = call.Mask.Data != null && call.Mask.Count > 0 ? Require(kernels, "MaskBias", problem.Query.Type) : null;
        plan.ChooseKernels(problem, kernels, multiprocessors, scoresOnly, call.Bias.SpeakerScores != null);
        plan.Lay(call, scoresOnly, staged, device);
        return plan;
    }

    /// <summary>Prepares what is uploaded.</summary>
    /// <returns>Entries of <see cref="PlainBlocks"/> and <see cref="SplitBlocks"/>.</returns>
    public readonly (int Plain, int Split) Fill(in CudaCall call)
    {
        (int Plain, int Split) counts = (0, 0);
        int batch = call.Problem.Batch;
        if (Spoken > 0)
        {
            Roles.Fill(call.HostProblem, call.Bias);
            counts = FillBlocks(call.Problem);
            if (SpeakerGate != null)
            {
                Speakers.Fill(call.HostProblem, call.Bias, Roles, Split!.Rows);
            }
        }
        Copy(call.HostGate, HostGate, batch * call.Problem.Heads);
        Copy(call.HostKeyLengths, KeyLengths, batch);
        Copy(call.HostQueryOffsets, QueryOffsets, batch);
        return counts;

        static void Copy<T>(T* source, T* target, int count)
            where T : unmanaged
        {
            if (target != null)
            {
                new ReadOnlySpan<T>(source, count).CopyTo(new Span<T>(target, count));
            }
        }
    }

    /// <summary>
    /// Shares row blocks out among the two kernels: those of the one with more rows in a block decide, and the other takes each of its blocks in parts. Late rows first where they see the most keys,
    /// so that no long block starts when all others have ended.
    /// </summary>
    private readonly (int Plain, int Split) FillBlocks(in AttentionProblem problem)
    {
        int rows = problem.QueryLength, size = Math.Max(Plain?.Rows ?? 0, Split!.Rows), blocks = DivideUp(rows, size), plain = 0, split = 0;
        for (int n = 0; n < blocks; n++)
        {
            int first = (problem.Causal ? blocks - 1 - n : n) * size, count = Math.Min(size, rows - first);
            for (int b = 0; b < problem.Batch; b++)
            {
                bool spoken = new ReadOnlySpan<int>(Roles.SpokenIndex + ((long)b * rows) + first, count).ContainsAnyExcept(-1);
                if (spoken)
                {
                    Add(SplitBlocks, ref split, b, Split, first, count, rows);
                }
                else if (Plain != null)
                {
                    Add(PlainBlocks, ref plain, b, Plain, first, count, rows);
                }
            }
        }
        return (plain, split);

        static void Add(int* blocks, ref int at, int b, KernelEntry kernel, int first, int count, int rows)
        {
            int ofElement = DivideUp(rows, kernel.Rows);
            for (int row = first; row < first + count; row += kernel.Rows)
            {
                blocks[at++] = (b * ofElement) + (row / kernel.Rows);
            }
        }
    }

    /// <summary>Address on the device of something prepared on the host.</summary>
    public readonly void* OnDevice(void* prepared) => prepared == null ? null : Uploaded + ((byte*)prepared - Prepared);

    /// <summary>Rows of U that nothing is done with: no head can be active, and no results are wanted.</summary>
    private static bool IsInert(in CudaCall call) => call.Bias.IsInert && call.Bias.HeadScores == null && call.Bias.Alignment == null && call.Bias.SpeakerScores == null;

    private void ChooseKernels(in AttentionProblem problem, KernelManifest kernels, int multiprocessors, bool scoresOnly, bool bySpeaker)
    {
        ElementType type = problem.Query.Type;
        bool tensorCores = FitsTensorCores(problem);
        // What is seldom is left out of the fastest loops.
        bool isSimple = problem.Softcap == 0 && problem.Bias.IsEmpty && problem.Scale > 0;
        if (Spoken > 0)
        {
            string split = scoresOnly ? "ScoresOnly" : isSimple ? "PrefillClasses" : "PrefillOptions";
            Split = (tensorCores ? kernels.Find(split, type, problem.HeadSize) : null) ?? Require(kernels, "PrefillSimt", type, "classes");
            Gate = Require(kernels, "HeadScores", null);
            SpeakerGate = bySpeaker ? Require(kernels, "SpeakerScores", null) : null;
            Epilogue = scoresOnly ? null : Require(kernels, "SocialBias", type);
        }
        if (scoresOnly)
        {
            return;
        }
        Decode = tensorCores && Spoken == 0 && problem.QueryLength <= DecodeRows ? kernels.Find("Decode", type, problem.HeadSize) : null;
        if (Decode != null)
        {
            // Two blocks for each multiprocessor: one waits for memory while the other computes.
            int tiles = Math.Max(1, DivideUp(problem.KeyLength, Decode.Keys)), wanted = Math.Max(1, 2 * multiprocessors / (problem.Batch * problem.KvHeads));
            int tilesPerSplit = DivideUp(tiles, Math.Min(tiles, wanted));
            (Splits, ChunkKeys) = (DivideUp(tiles, tilesPerSplit), tilesPerSplit * Decode.Keys);
            Combine = Require(kernels, "DecodeCombine", type);
            return;
        }
        Plain = (tensorCores ? kernels.Find(isSimple ? "PrefillPlain" : "PrefillOptions", type, problem.HeadSize) : null) ?? Require(kernels, "PrefillSimt", type, "plain");
    }

    private void Lay(in CudaCall call, bool scoresOnly, void* staged, void* device)
    {
        ref readonly AttentionProblem problem = ref call.Problem;
        nuint batch = (nuint)problem.Batch, heads = batch * (nuint)problem.Heads;
        ScratchCursor lanes = new(staged), none = new(null);
        default(RolePlan).Reserve(ref none, ref lanes, problem, call.Bias, Spoken, Runs);
        nuint kept = Spoken == 0 ? 0 : lanes.Used;
        Prepared = (byte*)staged + kept;
        ScratchCursor upload = new(Prepared);
        if (Spoken > 0)
        {
            lanes = new(staged);
            Roles.Reserve(ref upload, ref lanes, problem, call.Bias, Spoken, Runs);
            PlainBlocks = Plain == null ? null : (int*)upload.Take(batch * (nuint)DivideUp(problem.QueryLength, Plain.Rows) * sizeof(int));
            SplitBlocks = (int*)upload.Take(batch * (nuint)DivideUp(problem.QueryLength, Split!.Rows) * sizeof(int));
            if (SpeakerGate != null)
            {
                Speakers.Reserve(ref upload, problem, call.Bias.SpeakerCount, Roles.Tiles, Split.Rows);
            }
            HostGate = call.HostGate == null ? null : (float*)upload.Take(heads * sizeof(float));
        }
        KeyLengths = NeedsUpload(problem.KeyLengths, call.HostKeyLengths, problem.KeyLength, problem.Batch) ? (int*)upload.Take(batch * sizeof(int)) : null;
        // Where every row sees every key, no kernel asks where rows stand.
        QueryOffsets = (problem.Causal || problem.Window > 0)
            && NeedsUpload(problem.QueryOffsets, call.HostQueryOffsets, problem.KeyLength - problem.QueryLength, problem.Batch)
            ? (int*)upload.Take(batch * sizeof(int)) : null;
        UploadBytes = upload.Used;
        StagedBytes = UploadBytes + kept;

        ScratchCursor memory = new(device);
        Uploaded = (byte*)memory.Take(UploadBytes);
        nuint spoken = (nuint)problem.Heads * (nuint)Spoken, rows = heads * (nuint)problem.QueryLength * (nuint)Splits;
        Stats = (float*)memory.Take((nuint)problem.Heads * (nuint)SpokenPartials * StatsPerRow * sizeof(float));
        Outputs = (float*)memory.Take(scoresOnly ? 0 : checked(spoken * 2 * (nuint)problem.ValueHeadSize * sizeof(float)));
        HeadScores = (float*)memory.Take(Spoken == 0 || call.Bias.HeadScores != null ? 0 : heads * sizeof(float));
        PartialStats = (float*)memory.Take(rows * 2 * sizeof(float));
        PartialOutputs = (float*)memory.Take(checked(rows * (nuint)problem.ValueHeadSize * sizeof(float)));
        DeviceBytes = memory.Used;
    }

    private static bool NeedsUpload(int* device, int* host, int usual, int count) => device == null && host != null && new ReadOnlySpan<int>(host, count).ContainsAnyExcept(usual);

    private static KernelEntry Require(KernelManifest kernels, string kernel, ElementType? type, string variant = "") => kernels.Find(kernel, type, 0, variant)
        ?? throw new NotSupportedException($"there is no CUDA kernel {kernel} for {type} in this build, or the device has too little shared memory for it");

    private static bool FitsTensorCores(in AttentionProblem problem) =>
        problem.Query.Type != ElementType.Float32 && (problem.Value.IsEmpty || problem.ValueHeadSize == problem.HeadSize)
        && IsAligned(problem.Query) && IsAligned(problem.Key) && IsAligned(problem.Value) && IsAligned(problem.Output);

    /// <summary>Whether every row starts at a multiple of 16 bytes: what asynchronous copies and matrix loads take.</summary>
    private static bool IsAligned(in TensorView tensor)
    {
        const int Elements = 8;
        return ((nint)tensor.Data & 15) == 0 && tensor.BatchStride % Elements == 0 && tensor.HeadStride % Elements == 0 && tensor.RowStride % Elements == 0;
    }

    /// <summary>n / by, rounded up.</summary>
    public static int DivideUp(int n, int by) => (int)(((long)n + by - 1) / by);
}
