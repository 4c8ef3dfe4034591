using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Runs the engine on the session's threads with scratch memory from the session's arena.</summary>
internal static unsafe class AttentionRunner
{
    public static void Run(in KernelContext context, in AttentionProblem problem, in SocialBias bias, in LogitOutput logits)
    {
        OrtWorkers workers = new(context);
        nuint bytes = AttentionCpu.ScratchBytes(problem, bias, workers.Degree);
        if (logits.Data != null)
        {
            bytes = Math.Max(bytes, AttentionLogits.ScratchBytes(problem, workers.Degree));
        }
        using ScratchBuffer scratch = context.Scratch((long)bytes, 1);
        AttentionCpu.Run(problem, bias, workers, scratch.Data, bytes, InstructionSets.Current);
        if (logits.Data != null)
        {
            TensorView matrix = TensorView.Bhsd(logits.Data, problem.Key.Type, problem.Heads, problem.QueryLength, problem.KeyLength);
            AttentionLogits.Run(problem, logits.Stage, logits.Hidden, matrix, workers, scratch.Data, bytes, InstructionSets.Current);
        }
    }
}
