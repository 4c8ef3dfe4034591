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
        set
        {
            using HandleUse use = new(this);
            _api.Check(_api.Table->SetIntraOpNumThreads((SessionOptions*)use.Pointer, value));
        }
    }

    /// <summary>Runs nodes that do not depend on each other at the same time, on threads of their own: this many.</summary>
    public int ParallelNodes
    {
        set
        {
            using HandleUse use = new(this);
            _api.Check(_api.Table->SetSessionExecutionMode((SessionOptions*)use.Pointer, 1)); // ORT_PARALLEL
            _api.Check(_api.Table->SetInterOpNumThreads((SessionOptions*)use.Pointer, value));
        }
    }

    public OrtGraphOptimization Optimization
    {
        set
        {
            using HandleUse use = new(this);
            _api.Check(_api.Table->SetSessionGraphOptimizationLevel((SessionOptions*)use.Pointer, value));
        }
    }

    public OrtLogSeverity LogSeverity
    {
        set
        {
            using HandleUse use = new(this);
            _api.Check(_api.Table->SetSessionLogSeverityLevel((SessionOptions*)use.Pointer, value));
        }
    }

    /// <summary>Where a session writes its optimised graph.</summary>
    public string OptimizedModelPath
    {
        set
        {
            using HandleUse use = new(this);
            using NativeText path = NativeText.Path(value);
            _api.Check(_api.Table->SetOptimizedModelFilePath((SessionOptions*)use.Pointer, path.Pointer));
        }
    }

    /// <summary>Start of the path of the profile that a session writes when it is disposed of; ONNX Runtime adds a date and ".json".</summary>
    public string ProfilePrefix
    {
        set
        {
            using HandleUse use = new(this);
            using NativeText prefix = NativeText.Path(value);
            _api.Check(_api.Table->EnableProfiling((SessionOptions*)use.Pointer, prefix.Pointer));
        }
    }

    /// <summary>Sets an entry of the session's configuration, as "session.intra_op.allow_spinning" to "0".</summary>
    public void AddConfigEntry(string key, string value)
    {
        using HandleUse use = new(this);
        using NativeText nativeKey = NativeText.Utf8(key);
        using NativeText nativeValue = NativeText.Utf8(value);
        _api.Check(_api.Table->AddSessionConfigEntry((SessionOptions*)use.Pointer, nativeKey.Pointer, nativeValue.Pointer));
    }

    /// <summary>Loads a library of custom ops by its path and lets it register them; ONNX Runtime unloads it with the last session.</summary>
    /// <exception cref="OrtException">It cannot be loaded, or refuses.</exception>
    public void RegisterLibrary(string path)
    {
        using HandleUse use = new(this);
        using NativeText text = NativeText.Path(path);
        _api.Check(_api.Table->RegisterCustomOpsLibrary((SessionOptions*)use.Pointer, text.Pointer));
    }

    protected override bool ReleaseHandle()
    {
        _api.Table->ReleaseSessionOptions((SessionOptions*)handle);
        return true;
    }
}
