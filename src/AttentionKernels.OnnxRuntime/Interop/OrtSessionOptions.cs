using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Options of sessions to be made. A SafeHandle of the native options, as other .NET bindings have it. Not thread-safe.</summary>
internal sealed unsafe class OrtSessionOptions : SafeHandle
{
    private readonly OrtApi _api;

    public OrtSessionOptions()
        : base(0, ownsHandle: true)
    {
        _api = OrtEnvironment.Get().Api;
        SessionOptions* options;
        _api.Check(_api.Table->CreateSessionOptions(&options));
        SetHandle((nint)options);
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>Threads that one node may use; 0: one per core; 1: only the thread that calls Run.</summary>
    public int IntraOpThreads
    {
        set => _api.Check(_api.Table->SetIntraOpNumThreads(Open(), value));
    }

    public OrtGraphOptimization Optimization
    {
        set => _api.Check(_api.Table->SetSessionGraphOptimizationLevel(Open(), value));
    }

    public OrtLogSeverity LogSeverity
    {
        set => _api.Check(_api.Table->SetSessionLogSeverityLevel(Open(), value));
    }

    /// <summary>Where a session writes its optimised graph.</summary>
    public string OptimizedModelPath
    {
        set
        {
            using NativeText path = NativeText.Path(value);
            _api.Check(_api.Table->SetOptimizedModelFilePath(Open(), path.Pointer));
        }
    }

    /// <summary>Sets an entry of the session's configuration, as "session.intra_op.allow_spinning" to "0".</summary>
    public void AddConfigEntry(string key, string value)
    {
        using NativeText nativeKey = NativeText.Utf8(key);
        using NativeText nativeValue = NativeText.Utf8(value);
        _api.Check(_api.Table->AddSessionConfigEntry(Open(), nativeKey.Pointer, nativeValue.Pointer));
    }

    protected override bool ReleaseHandle()
    {
        _api.Table->ReleaseSessionOptions((SessionOptions*)handle);
        return true;
    }

    private SessionOptions* Open()
    {
        ObjectDisposedException.ThrowIf(IsClosed, this);
        return (SessionOptions*)handle;
    }
}
