using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Cli.Conformance;

/// <summary>An operator of ours that also counts how often a node of it ran. ONNX Runtime runs nodes on the thread that runs the session.</summary>
internal sealed class CountedOp(CustomOp op) : CustomOp
{
    [ThreadStatic]
    private static int _runs;

    public override string Name => op.Name;

    public override IReadOnlyList<OpParameter> Inputs => op.Inputs;

    public override IReadOnlyList<OpParameter> Outputs => op.Outputs;

    /// <summary>Nodes that ran on this thread since the last call.</summary>
    public static int TakeRuns()
    {
        int runs = _runs;
        _runs = 0;
        return runs;
    }

    public override CustomOpKernel CreateKernel(in KernelInfo info) => new CountedKernel(op.CreateKernel(info));

    public override void InferShapes(in ShapeInferenceContext context) => op.InferShapes(context);

    private sealed class CountedKernel(CustomOpKernel kernel) : CustomOpKernel
    {
        public override void Compute(in KernelContext context)
        {
            _runs++;
            kernel.Compute(context);
        }
    }
}
