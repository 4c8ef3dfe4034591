using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.Native;

/// <summary>What RegisterCustomOps does.</summary>
internal static unsafe class Registration
{
    // The oldest table, which every runtime has and in which statuses are made at the same places.
    private const uint OldestVersion = 1;

    /// <summary>Registers the operators and the overrides that the host asks for.</summary>
    /// <returns>A status for ONNX Runtime; null for success, or where there is nothing to make one with.</returns>
    public static Status* Run(SessionOptions* options, OrtApiBase* apiBase)
    {
        if (apiBase == null)
        {
            LastError.Set(new ArgumentException("the OrtApiBase is null, so nothing was registered"));
            return null;
        }
        try
        {
            NativeCall.CheckPointer(options, "the OrtSessionOptions");
            OrtApi api = OrtApi.FromBase(apiBase);
            AttentionKernelsOps.Register(api, options, Overrides(api, options));
            return null;
        }
        catch (Exception e)
        {
            LastError.Set(e);
            return OrtStatus.FromException(apiBase->GetApi(OldestVersion), e, "AttentionKernels");
        }
    }

    private static AttentionOverrides Overrides(OrtApi api, SessionOptions* options) =>
        ConfigEntry(api, options) is string entry
            ? OverrideChoice.Parse(entry, $"session configuration entry '{OverrideChoice.ConfigKey}'")
            : OverrideChoice.Parse(Environment.GetEnvironmentVariable(OverrideChoice.Variable), $"environment variable {OverrideChoice.Variable}");

    /// <summary>The session's own choice; null: it has none.</summary>
    private static string? ConfigEntry(OrtApi api, SessionOptions* options)
    {
        using NativeText key = NativeText.Utf8(OverrideChoice.ConfigKey);
        int exists;
        api.Check(api.Table->HasSessionConfigEntry(options, key.Pointer, &exists));
        if (exists == 0)
        {
            return null;
        }
        nuint bytes = 0; // with the final zero
        api.Check(api.Table->GetSessionConfigEntry(options, key.Pointer, null, &bytes));
        byte[] text = new byte[bytes];
        fixed (byte* pointer = text)
        {
            api.Check(api.Table->GetSessionConfigEntry(options, key.Pointer, pointer, &bytes));
            return Marshal.PtrToStringUTF8((nint)pointer);
        }
    }
}
