using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.Tests.OnnxRuntime.Interop;

/// <summary>Ending a run from outside.</summary>
public sealed class RunCancellationTests
{
    [Fact]
    public void A_Cancelled_Run_Stops_Before_The_Next_Node_And_The_Session_Still_Works()
    {
        using CancellationTokenSource source = new();
        int nodes = 0;
        ScaleAddOp op = new()
        {
            OnCompute = () =>
            {
                nodes++;
                source.Cancel();
            },
        };
        using OrtSessionOptions options = new() { LogSeverity = OrtLogSeverity.Fatal, IntraOpThreads = 1 };
        new OrtDomain(OrtApi.Default, ScaleAddOp.DomainName, op).AddTo(options);
        using OrtSession session = new(TwoNodes(), options);
        using OrtTensor x = OrtTensor.Over([1f, 2, 3], 1, 3);
        Dictionary<string, OrtTensor> feeds = new() { ["x"] = x };

        OperationCanceledException e = Assert.Throws<OperationCanceledException>(() => session.Run(feeds, ["y"], source.Token));
        Assert.Equal((source.Token, 1), (e.CancellationToken, nodes));
        Assert.Throws<OperationCanceledException>(() => session.Run(feeds, ["y"], source.Token));
        Assert.Equal(1, nodes);

        using OrtTensor y = session.Run(feeds, "y")[0];
        Assert.Equal([1f, 2, 3], y.Span<float>().ToArray());
    }

    [Fact]
    public void A_Token_That_Is_Never_Cancelled_Changes_Nothing()
    {
        using CancellationTokenSource source = new();
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x"], ["y"]));
        using OrtTensor x = OrtTensor.Over([1f, 2, 3], 1, 3);
        using OrtTensor y = session.Run(new Dictionary<string, OrtTensor> { ["x"] = x }, ["y"], source.Token)[0];
        Assert.Equal([1f, 2, 3], y.Span<float>().ToArray());
        source.Cancel();
    }

    [Fact]
    public void The_Cpu_Provider_Is_Always_There() => Assert.Contains("CPUExecutionProvider", OrtApi.Default.GetAvailableProviders());

    private static byte[] TwoNodes()
    {
        ModelProto model = new() { IrVersion = 8, Graph = new GraphProto { Name = "two" } };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 17 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = ScaleAddOp.DomainName, Version = 1 });
        GraphWriter writer = new(model.Graph, ElementType.Float32);
        writer.Input("x", writer.WeightType, 1, 3);
        writer.Node(ScaleAddOp.DomainName, "ScaleAdd", "first", ["x"], ["between"]);
        writer.Node(ScaleAddOp.DomainName, "ScaleAdd", "second", ["between"], ["y"]);
        writer.Output("y", writer.WeightType, 1, 3);
        return model.ToByteArray();
    }
}
