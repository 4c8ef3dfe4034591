using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>
/// The environment that all sessions of an ONNX Runtime share. ONNX Runtime keeps one per process, so this one is never released:
/// sessions may outlive whoever asked for it first.
/// </summary>
internal sealed unsafe class OrtEnvironment
{
    private static readonly Lock Gate = new();
    private static OrtEnvironment? _default;

    private OrtEnvironment(OrtApi api)
    {
        Api = api;
        using NativeText name = NativeText.Utf8("AttentionKernels");
        Env* env;
        api.Check(api.Table->CreateEnv(OrtLogSeverity.Error, name.Pointer, &env));
        Handle = env;
    }

    public OrtApi Api { get; }

    public Env* Handle { get; }

    /// <summary>The environment of <see cref="OrtApi.Default"/>, made on first use. It logs errors; a session may log more or less.</summary>
    /// <exception cref="OrtException">There is no usable ONNX Runtime.</exception>
    public static OrtEnvironment Get()
    {
        lock (Gate)
        {
            return _default ??= new OrtEnvironment(OrtApi.Default);
        }
    }
}
