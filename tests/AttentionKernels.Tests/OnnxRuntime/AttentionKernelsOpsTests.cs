using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime;

/// <summary>Registration with somebody else's session options.</summary>
public sealed class AttentionKernelsOpsTests
{
    [Fact]
    public void Options_May_Serve_Sessions_After_Registration()
    {
        using OrtSessionOptions byHandle = new();
        AttentionKernelsOps.Register(byHandle);
        using OrtSessionOptions byPointer = new();
        AttentionKernelsOps.Register(byPointer.DangerousGetHandle());
        Interop.OneNodeModel model = new()
        {
            Domain = "",
            Op = "Identity",
            NodeInputs = ["x"],
            NodeOutputs = ["y"],
            GraphInputs = [("x", OnnxElementType.Int32, [1L])],
            GraphOutputs = [("y", OnnxElementType.Int32, [1L])],
        };
        using OrtSession first = new(model.ToBytes(), byHandle);
        using OrtSession second = new(model.ToBytes(), byHandle);
        using OrtSession third = new(model.ToBytes(), byPointer);
        Assert.Single(third.Outputs);
    }

    [Fact]
    public void Registering_Twice_Is_Refused()
    {
        using OrtSessionOptions options = new();
        AttentionKernelsOps.Register(options);
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => AttentionKernelsOps.Register(options));
        Assert.Contains("already", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Null_Closed_And_Zero_Options_Are_Refused()
    {
        OrtSessionOptions closed = new();
        closed.Dispose();
        Assert.Throws<ArgumentNullException>(() => AttentionKernelsOps.Register(null!));
        Assert.Throws<ArgumentException>(() => AttentionKernelsOps.Register(closed));
        Assert.Throws<ArgumentException>(() => AttentionKernelsOps.Register(IntPtr.Zero));
    }
}
