using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// An operator of the CUDA provider, offered to the CPU provider: a session without a GPU makes and runs its kernels, with tensors that are where the stub driver has its device memory.
/// </summary>
internal sealed class OnProcessor(CustomOp op) : CustomOp
{
    public override string Name => op.Name;

    public override IReadOnlyList<OpParameter> Inputs => op.Inputs;

    public override IReadOnlyList<OpParameter> Outputs => op.Outputs;

    public override CustomOpKernel CreateKernel(in KernelInfo info) => op.CreateKernel(info);

    public override void InferShapes(in ShapeInferenceContext context) => op.InferShapes(context);
}
