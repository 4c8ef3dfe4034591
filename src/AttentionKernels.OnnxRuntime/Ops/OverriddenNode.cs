using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Steering;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>A node of one of ONNX Runtime's own operators, which this library computes instead.</summary>
/// <param name="Domain">Domain of the operator; empty for ai.onnx.</param>
/// <param name="Operator">Its name.</param>
/// <param name="Name">The node's name in the graph; may be empty.</param>
internal sealed record OverriddenNode(string Domain, string Operator, string Name)
{
    /// <summary>The decoder layer in the node's name; null: none.</summary>
    public int? Layer { get; } = LayerName.Find(Name);

    /// <summary>Computes the node. Here, and nowhere else, steering enters: without a scope on this thread, this is plain attention.</summary>
    public void Attend(in KernelContext context, in AttentionProblem problem, in LogitOutput logits)
    {
        if (SteeringScope.Current is SteeringScope scope)
        {
            scope.Attend(this, context, problem, logits);
            return;
        }
        AttentionRunner.Run(context, problem, default, logits);
    }

    /// <summary>The same on a device.</summary>
    public void Attend(in KernelContext context, CudaNode cuda, in CudaCall call)
    {
        if (SteeringScope.Current is SteeringScope scope)
        {
            scope.Attend(this, context, cuda, call);
            return;
        }
        cuda.Run(context, call);
    }
}
