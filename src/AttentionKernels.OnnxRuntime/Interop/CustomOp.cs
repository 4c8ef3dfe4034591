namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>
/// A custom operator on one execution provider: its schema, and how a node of it gets a kernel. Ops of one domain that share a name are
/// overloads by element type or provider; they must agree in the number of inputs and outputs and in which are optional.
/// </summary>
/// <remarks>Any exception thrown here or by a kernel becomes an ONNX Runtime error that names the node.</remarks>
internal abstract class CustomOp
{
    public abstract string Name { get; }

    /// <summary>Where its nodes run.</summary>
    public virtual OnnxProvider Provider => OnnxProvider.Cpu;

    public abstract IReadOnlyList<OpParameter> Inputs { get; }

    public abstract IReadOnlyList<OpParameter> Outputs { get; }

    /// <summary>Makes the kernel of a node while its session is being created: reads and checks attributes.</summary>
    public abstract CustomOpKernel CreateKernel(in KernelInfo info);

    /// <summary>
    /// Tells ONNX Runtime types and shapes of the outputs before anything runs. Only an aid: older runtimes never ask, and errors are
    /// ignored by all releases so far, so kernels check their inputs themselves.
    /// </summary>
    public abstract void InferShapes(in ShapeInferenceContext context);
}
