using System.Runtime.InteropServices;

namespace AttentionKernels.Cpu;

/// <summary>
/// The CPU engine: exact attention, head scores and social bias in one pass over K and V, in O(S D) memory.
/// </summary>
/// <remarks>
/// Phase 1 runs <see cref="AttentionBlock{V}"/> over blocks of query rows, or <see cref="AttentionDecode{V}"/> over chunks of keys where there are few; rows of U are written with the bias, and leave statistics in scratch memory. Phase 2, only
/// when there are rows of U, runs <see cref="SocialBiasEpilogue"/> over heads. That each pointer has room for what the sizes and strides say is
/// the caller's word; the operators check it.
/// </remarks>
public static unsafe class AttentionCpu
{
    /// <summary>Runs a call on the .NET thread pool, with scratch memory of its own.</summary>
    /// <param name="problem">Shapes and tensors; its Output receives the result.</param>
    /// <param name="bias">Roles and strength, and where scores go; <c>default</c> is plain attention.</param>
    /// <param name="threads">Threads to use at most; 0: one for each processor.</param>
    /// <param name="set">Instructions to use; null: <see cref="InstructionSets.Current"/>.</param>
    /// <exception cref="ArgumentException">A size, option or role is not possible, or does not fit the others.</exception>
    public static void Run(in AttentionProblem problem, in SocialBias bias, int threads = 0, InstructionSet? set = null)
    {
        problem.Validate(bias);
        ThreadPoolWorkers workers = new(threads > 0 ? threads : Environment.ProcessorCount);
        nuint bytes = ScratchBytes(problem, bias, workers.Degree);
        void* scratch = NativeMemory.AlignedAlloc(bytes, ScratchCursor.Alignment);
        try
        {
            Run(problem, bias, workers, scratch, bytes, set ?? InstructionSets.Current);
        }
        finally
        {
            NativeMemory.AlignedFree(scratch);
        }
    }

    /// <summary>Scratch bytes that a call with up to <paramref name="degree"/> workers needs.</summary>
    internal static nuint ScratchBytes(in AttentionProblem problem, in SocialBias bias, int degree)
    {
        ScratchCursor scratch = new(null);
        Plan(problem, bias, degree, ref scratch);
        return Math.Max(scratch.Used, ScratchCursor.Alignment);
    }

    /// <summary>Runs a call on borrowed threads and memory. <paramref name="scratch"/> is 64-byte aligned.</summary>
    internal static void Run<TWorkers>(in AttentionProblem problem, in SocialBias bias, TWorkers workers, void* scratch, nuint bytes, InstructionSet set)
        where TWorkers : IWorkers, allows ref struct
    {
        ScratchCursor cursor = new(scratch);
        AttentionCall call = Plan(problem, bias, workers.Degree, ref cursor);
        if (cursor.Used > bytes || ((nuint)scratch & (ScratchCursor.Alignment - 1)) != 0)
        {
            throw new ArgumentException($"scratch is {bytes} bytes at {(nuint)scratch:x}, expected {cursor.Used} bytes aligned to {ScratchCursor.Alignment}");
        }
        if (call.Spoken > 0)
        {
            call.Plan.Fill(problem, bias);
        }
        else
        {
            ClearResults(problem, bias);
        }

        bool decode = call.Decode.Chunks > 0;
        if (decode)
        {
            new Span<int>(call.Decode.Pending, (int)(call.Tasks / call.Decode.Chunks)).Fill(call.Decode.Chunks);
        }
        delegate*<void*, int, byte*, void> task = set switch
        {
            InstructionSet.Avx512 => decode ? &AttentionDecode<Vector512F>.Run : &AttentionBlock<Vector512F>.Run,
            InstructionSet.Avx2 => decode ? &AttentionDecode<Vector256F>.Run : &AttentionBlock<Vector256F>.Run,
            _ => decode ? &AttentionDecode<Vector128F>.Run : &AttentionBlock<Vector128F>.Run,
        };
        TaskLoop.Run(task, &call, call.Tasks, call.WorkerMemory, call.WorkerBytes, workers);
        if (call.Spoken > 0)
        {
            TaskLoop.Run(&SocialBiasEpilogue.Run, &call, (long)problem.Batch * problem.Heads, call.WorkerMemory, call.WorkerBytes, workers);
        }
    }

    /// <summary>Scores of a call without rows of U, such as a decode step, which runs as plain attention.</summary>
    private static void ClearResults(in AttentionProblem problem, in SocialBias bias)
    {
        nuint heads = (nuint)problem.Batch * (nuint)problem.Heads;
        Clear(bias.HeadScores, heads);
        Clear(bias.Alignment, heads * 4);
        Clear(bias.SpeakerScores, heads * (nuint)bias.SpeakerCount);

        static void Clear(float* values, nuint count)
        {
            if (values != null)
            {
                NativeMemory.Clear(values, count * sizeof(float));
            }
        }
    }

    private static AttentionCall Plan(in AttentionProblem problem, in SocialBias bias, int degree, ref ScratchCursor scratch)
    {
        AttentionCall call = new() { Problem = problem, Bias = bias };
        (call.Spoken, int runs) = RolePlan.CountSpoken(problem, bias);
        int length = Math.Max(problem.QueryLength, 1), group = problem.Heads / problem.KvHeads;
        bool decode = DecodePlan.Fits(problem);
        call.RowsPerBlock = Math.Min(length, Gemm.Pitch);
        call.HeadsPerBlock = decode ? Math.Min(group, DecodeMemory.MaxRows / length) : call.Spoken > 0 ? 1 : Math.Min(group, Gemm.Pitch / call.RowsPerBlock);
        if (call.Spoken > 0)
        {
            call.Plan.Reserve(ref scratch, problem, bias, call.Spoken, runs);
            nuint rows = (nuint)problem.Heads * (nuint)call.Spoken;
            bool ownGate = !problem.Value.IsEmpty && !bias.IsInert && bias.HeadScoresIn == null;
            call.SpokenRows = (SpokenRow*)scratch.Take(rows * (nuint)sizeof(SpokenRow));
            call.PlainVectors = RolePlan.Vectors(call.Spoken, problem.Batch);
            nuint outputs = (nuint)problem.Heads * (nuint)call.PlainVectors * RolePlan.OrderGroup * (nuint)problem.ValueHeadSize;
            float* plain = (float*)scratch.Take(ownGate ? outputs * sizeof(float) : 0);
            call.PlainOutput = ownGate ? plain : null;
            call.SpeakerSums = (float*)scratch.Take(rows * (nuint)bias.SpeakerCount * sizeof(float));
        }

        ScratchCursor one = new(null);
        long groups = (long)problem.Batch * problem.KvHeads, panels = (long)call.RowBlocks * call.HeadBlocks;
        if (panels > 0 && groups > AttentionProblem.MaxLength / panels)
        {
            throw new ArgumentException($"the problem has {groups} x {panels} blocks of rows and heads, expected at most {AttentionProblem.MaxLength}");
        }
        if (decode)
        {
            call.Decode = DecodePlan.Reserve(ref scratch, problem, bias, call.Spoken > 0, (int)(groups * panels));
            call.Tasks = groups * panels * call.Decode.Chunks;
            DecodeMemory.At(ref one, problem, bias);
        }
        else
        {
            // K and V come from the third-level cache or beyond once for each task: more panels in a task mean less of that, fewer mean an even load.
            long share = groups * panels / (4L * degree);
            call.PanelsPerTask = (int)Math.Clamp(share, 1, Math.Min(BlockMemory.PanelsThatFit(problem), Math.Max(panels, 1)));
            call.Tasks = groups * call.TasksPerGroup;
            BlockMemory* layout = stackalloc BlockMemory[AttentionCall.MaxPanels];
            BlockMemory.Lay(ref one, problem, bias, call.PanelsPerTask, layout);
        }
        call.WorkerBytes = one.Used;
        call.WorkerMemory = (byte*)scratch.Take(one.Used * (nuint)degree);
        return call;
    }
}
