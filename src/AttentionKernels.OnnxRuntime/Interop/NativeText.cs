using System.Runtime.InteropServices;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>A zero-terminated native copy of a string, freed by Dispose.</summary>
internal readonly unsafe ref struct NativeText
{
    private NativeText(nint pointer) => Pointer = (byte*)pointer;

    public byte* Pointer { get; }

    public static NativeText Utf8(string text)
    {
        ThrowIfCut(text);
        return new NativeText(Marshal.StringToCoTaskMemUTF8(text));
    }

    /// <summary>A path as ONNX Runtime takes it: UTF-16 on Windows, UTF-8 elsewhere.</summary>
    public static NativeText Path(string path)
    {
        ThrowIfCut(path);
        return new NativeText(OperatingSystem.IsWindows() ? Marshal.StringToCoTaskMemUni(path) : Marshal.StringToCoTaskMemUTF8(path));
    }

    public void Dispose() => Marshal.FreeCoTaskMem((nint)Pointer);

    // Native code would read the text up to the first zero and so see another name than the caller meant.
    private static void ThrowIfCut(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("a name or path for ONNX Runtime holds a zero character", nameof(text));
        }
    }
}
