using System.Runtime.InteropServices;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>What <c>OrtGetApiBase</c> returns and what a custom op library is handed. Never freed.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly unsafe struct OrtApiBase
{
    public readonly delegate* unmanaged[Cdecl]<uint, OrtApiTable*> GetApi;
    public readonly delegate* unmanaged[Cdecl]<byte*> GetVersionString;
}
