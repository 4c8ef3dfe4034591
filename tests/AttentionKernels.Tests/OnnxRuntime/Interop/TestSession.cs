using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Interop;

/// <summary>Sessions of one ScaleAdd node.</summary>
internal static class TestSession
{
    private static readonly Lazy<OrtDomain> Domain =
        new(() => new OrtDomain(OrtApi.Default, ScaleAddOp.DomainName, new ScaleAddOp(), new ScaleAddOp(OnnxElementType.Float16)));

    /// <summary>A session that runs quietly: the errors that tests cause are not logged.</summary>
    /// <param name="model">The model.</param>
    /// <param name="op">The op to use instead of the common ones.</param>
    public static OrtSession Create(OneNodeModel model, ScaleAddOp? op = null)
    {
        using OrtSessionOptions options = new() { LogSeverity = OrtLogSeverity.Fatal, IntraOpThreads = 2 };
        (op == null ? Domain.Value : new OrtDomain(OrtApi.Default, ScaleAddOp.DomainName, op)).AddTo(options);
        return new OrtSession(model.ToBytes(), options);
    }

    /// <summary>A ScaleAdd node over tensors [rows, 3]; graph inputs and outputs are the names that are not "".</summary>
    public static OneNodeModel ScaleAdd(
        string[] inputs, string[] outputs, Dictionary<string, object>? attributes = null, OnnxElementType type = OnnxElementType.Float) => new()
        {
            Op = "ScaleAdd",
            NodeInputs = inputs,
            NodeOutputs = outputs,
            Attributes = attributes ?? [],
            GraphInputs = [.. inputs.Where(name => name.Length > 0).Select(name => (name, type, (object?[]?)["rows", 3L]))],
            GraphOutputs = [.. outputs.Where(name => name.Length > 0)
                .Select(name => name == "largest" ? (name, OnnxElementType.Float, (object?[]?)[1L]) : (name, type, ["rows", 3L]))],
        };
}
