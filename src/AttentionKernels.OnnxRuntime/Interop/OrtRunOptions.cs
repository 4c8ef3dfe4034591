using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Options of one run, by which another thread can end it.</summary>
internal sealed unsafe class OrtRunOptions : SafeHandle
{
    private readonly OrtApi _api;

    public OrtRunOptions(OrtApi api)
        : base(0, ownsHandle: true)
    {
        _api = api;
        RunOptions* options;
        _api.Check(_api.Table->CreateRunOptions(&options));
        SetHandle((nint)options);
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>The native options, valid until Dispose.</summary>
    public RunOptions* Pointer => (RunOptions*)handle;

    /// <summary>Makes the run that uses these options fail before its next node. May be called by any thread while that run lasts. Never throws.</summary>
    public void Terminate() => _ = _api.Succeeds(_api.Table->RunOptionsSetTerminate((RunOptions*)handle));

    protected override bool ReleaseHandle()
    {
        _api.Table->ReleaseRunOptions((RunOptions*)handle);
        return true;
    }
}
