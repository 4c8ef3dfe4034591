namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>What a node runs. One kernel serves concurrent runs of its session, so Compute must not change it.</summary>
internal abstract class CustomOpKernel
{
    /// <summary>Runs the node once.</summary>
    public abstract void Compute(in KernelContext context);
}
