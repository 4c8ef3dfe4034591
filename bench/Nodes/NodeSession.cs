using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.Bench.Nodes;

/// <summary>A session of one node whose inputs and outputs are bound once: <see cref="Run"/> is a single native call, the same for every operator.</summary>
internal sealed unsafe class NodeSession : IDisposable
{
    private readonly OrtApi _api = OrtEnvironment.Get().Api;
    private readonly OrtSession _session;
    private readonly nint[] _inputNames;
    private readonly nint[] _outputNames;
    private readonly nint[] _inputs;
    private readonly nint[] _outputs;

    /// <summary>Loads the node.</summary>
    /// <param name="node">Its tensors must outlive the session.</param>
    /// <param name="threads">Intra-op threads.</param>
    /// <param name="profilePrefix">Where the session writes a profile; null: it writes none.</param>
    /// <param name="nativeLibrary">Path of the native library whose operators the session has; null: those of this process.</param>
    /// <exception cref="OrtException">ONNX Runtime refuses the node.</exception>
    public NodeSession(AttentionNode node, int threads, string? profilePrefix = null, string? nativeLibrary = null)
    {
        Node = node;
        using OrtSessionOptions options = new() { IntraOpThreads = threads, LogSeverity = OrtLogSeverity.Fatal };
        // Threads of one session that spin for more work would take a core from the session that is timed next.
        options.AddConfigEntry("session.force_spinning_stop", "1");
        if (profilePrefix != null)
        {
            options.ProfilePrefix = profilePrefix;
        }
        if (nativeLibrary != null)
        {
            options.RegisterLibrary(nativeLibrary);
        }
        else if (node.Domain == AttentionKernelsOps.Domain || node.Overridden)
        {
            AttentionKernelsOps.Register(options, node.Overridden ? AttentionOverrides.All : AttentionOverrides.None);
        }
        _session = new OrtSession(node.ToModel(), options);
        (_inputNames, _inputs) = Bind(node.Inputs, "input");
        (_outputNames, _outputs) = Bind(node.Outputs, "output");
    }

    /// <summary>What runs.</summary>
    public AttentionNode Node { get; }

    /// <summary>Runs the node once.</summary>
    /// <exception cref="OrtException">The run failed.</exception>
    public void Run()
    {
        fixed (nint* inputNames = _inputNames, inputs = _inputs, outputNames = _outputNames, outputs = _outputs)
        {
            _api.Check(_api.Table->Run(
                (Session*)_session.DangerousGetHandle(), null,
                (byte**)inputNames, (Value**)inputs, (nuint)_inputs.Length, (byte**)outputNames, (nuint)_outputs.Length, (Value**)outputs));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _session.Dispose();
        foreach (nint name in (nint[])[.. _inputNames, .. _outputNames])
        {
            Marshal.FreeCoTaskMem(name);
        }
    }

    // The tensors' handles stay valid: Node holds the tensors, and their owner disposes of them after the session.
    private static (nint[] Names, nint[] Values) Bind(IReadOnlyList<OrtTensor?> tensors, string kind)
    {
        (OrtTensor Tensor, int Position)[] present = [.. tensors.Select((tensor, i) => (tensor!, i)).Where(p => p.Item1 != null)];
        return (
            [.. present.Select(p => Marshal.StringToCoTaskMemUTF8(AttentionNode.NameOf(kind, p.Position)))],
            [.. present.Select(p => p.Tensor.DangerousGetHandle())]);
    }
}
