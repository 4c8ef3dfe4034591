using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>The native description of a custom op: 208 bytes in every release from 1.18 on. Members that stay null are not offered.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OrtCustomOp
{
    /// <summary>API version for which the struct was filled.</summary>
    public uint Version;
    private readonly uint _padding;
    private readonly void* _createKernel; // superseded by V2
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, byte*> GetName;
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, byte*> GetExecutionProviderType; // null: CPU
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, nuint, OnnxElementType> GetInputType;
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, nuint> GetInputTypeCount;
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, nuint, OnnxElementType> GetOutputType;
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, nuint> GetOutputTypeCount;
    private readonly void* _kernelCompute; // superseded by V2
    public delegate* unmanaged[Cdecl]<void*, void> KernelDestroy;
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, nuint, int> GetInputCharacteristic; // 0 required, 1 optional
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, nuint, int> GetOutputCharacteristic;
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, nuint, int> GetInputMemoryType; // 0: the provider's own memory, -2: the processor's
    private readonly void* _getVariadicInputMinArity;
    private readonly void* _getVariadicInputHomogeneity;
    private readonly void* _getVariadicOutputMinArity;
    private readonly void* _getVariadicOutputHomogeneity;
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, OrtApiTable*, NodeInfo*, void**, Status*> CreateKernelV2;
    public delegate* unmanaged[Cdecl]<void*, NodeContext*, Status*> KernelComputeV2;
    public delegate* unmanaged[Cdecl]<OrtCustomOp*, InferContext*, Status*> InferOutputShapeFn;
    private readonly void* _getStartVersion; // null: since version 1
    private readonly void* _getEndVersion;
    private readonly void* _getMayInplace;
    private readonly void* _releaseMayInplace;
    private readonly void* _getAliasMap;
    private readonly void* _releaseAliasMap;
}
