using System.Runtime.InteropServices;

namespace AttentionKernels.Cpu;

/// <summary>
/// The [B, H, S, T] matrix of logits or probabilities that some operators have as an optional output. A pass of its own: whoever asks for
/// the matrix pays for it, and the attention itself stays as it is.
/// </summary>
internal static unsafe class AttentionLogits
{
    /// <summary>Computes the matrix on the .NET thread pool, with scratch memory of its own.</summary>
    /// <param name="problem">Shapes and tensors; Value and Output are not used.</param>
    /// <param name="stage">What the matrix holds.</param>
    /// <param name="hidden">
    /// What <see cref="LogitStage.Masked"/> has for keys that a row does not see because of lengths, causality or window. A bias of -inf
    /// stays -inf. Other stages do not use it.
    /// </param>
    /// <param name="matrix">Receives [B, H, S, T], all of it.</param>
    /// <param name="threads">Threads to use at most; 0: one for each processor.</param>
    /// <param name="set">Instructions to use; null: <see cref="InstructionSets.Current"/>.</param>
    /// <exception cref="ArgumentException">A size or option is not possible, or does not fit the others.</exception>
    public static void Run(in AttentionProblem problem, LogitStage stage, float hidden, in TensorView matrix, int threads = 0, InstructionSet? set = null)
    {
        problem.Validate(default);
        ThreadPoolWorkers workers = new(threads > 0 ? threads : Environment.ProcessorCount);
        nuint bytes = ScratchBytes(problem, workers.Degree);
        void* scratch = NativeMemory.AlignedAlloc(bytes, ScratchCursor.Alignment);
        try
        {
            Run(problem, stage, hidden, matrix, workers, scratch, bytes, set ?? InstructionSets.Current);
        }
        finally
        {
            NativeMemory.AlignedFree(scratch);
        }
    }

    /// <summary>Scratch bytes that a call with up to <paramref name="degree"/> workers needs.</summary>
    public static nuint ScratchBytes(in AttentionProblem problem, int degree) => checked(AttentionLogitsMemory.Bytes(problem) * (nuint)degree);

    /// <summary>Computes the matrix on borrowed threads and memory. <paramref name="scratch"/> is 64-byte aligned.</summary>
    public static void Run<TWorkers>(
        in AttentionProblem problem, LogitStage stage, float hidden, in TensorView matrix, TWorkers workers, void* scratch, nuint bytes, InstructionSet set)
        where TWorkers : IWorkers, allows ref struct
    {
        nuint needed = ScratchBytes(problem, workers.Degree);
        if (needed > bytes || ((nuint)scratch & (ScratchCursor.Alignment - 1)) != 0)
        {
            throw new ArgumentException($"scratch is {bytes} bytes at {(nuint)scratch:x}, expected {needed} bytes aligned to {ScratchCursor.Alignment}");
        }
        int rows = Math.Min(Math.Max(problem.QueryLength, 1), Gemm.Pitch);
        AttentionLogitsCall call = new()
        {
            Problem = problem,
            Stage = stage,
            Hidden = stage == LogitStage.Masked ? hidden : float.NegativeInfinity,
            Matrix = matrix,
            RowsPerBlock = rows,
            HeadsPerBlock = Math.Min(problem.Heads / problem.KvHeads, Gemm.Pitch / rows),
        };
        if (stage < LogitStage.Masked)
        {
            call.Problem.KeyLengths = null;
            call.Problem.Causal = false;
            call.Problem.Window = 0;
            call.Problem.Bias = default;
        }
        if (stage == LogitStage.Scaled)
        {
            call.Problem.Softcap = 0;
        }
        delegate*<void*, int, byte*, void> task = set switch
        {
            InstructionSet.Avx512 => &AttentionLogitsBlock<Vector512F>.Run,
            InstructionSet.Avx2 => &AttentionLogitsBlock<Vector256F>.Run,
            _ => &AttentionLogitsBlock<Vector128F>.Run,
        };
        long tasks = (long)problem.Batch * problem.KvHeads * call.HeadBlocks * call.RowBlocks;
        TaskLoop.Run(task, &call, tasks, (byte*)scratch, AttentionLogitsMemory.Bytes(problem), workers);
    }
}
