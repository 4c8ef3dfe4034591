using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>
/// The functions of ONNX Runtime's C API (OrtApi) that this library calls, at their places in the native table. Places never
/// change between releases; all of these exist since API 18. 64-bit processes only.
/// </summary>
/// <remarks>A returned <see cref="Status"/> is null for success; otherwise the caller owns it.</remarks>
[StructLayout(LayoutKind.Explicit)]
internal readonly unsafe struct OrtApiTable
{
    // Status
    [FieldOffset(8 * 0)] public readonly delegate* unmanaged[Cdecl]<OrtErrorCode, byte*, Status*> CreateStatus;
    [FieldOffset(8 * 1)] public readonly delegate* unmanaged[Cdecl]<Status*, OrtErrorCode> GetErrorCode;
    [FieldOffset(8 * 2)] public readonly delegate* unmanaged[Cdecl]<Status*, byte*> GetErrorMessage;
    [FieldOffset(8 * 93)] public readonly delegate* unmanaged[Cdecl]<Status*, void> ReleaseStatus;

    // Environment
    [FieldOffset(8 * 3)] public readonly delegate* unmanaged[Cdecl]<OrtLogSeverity, byte*, Env**, Status*> CreateEnv;
    [FieldOffset(8 * 125)] public readonly delegate* unmanaged[Cdecl]<byte***, int*, Status*> GetAvailableProviders;
    [FieldOffset(8 * 126)] public readonly delegate* unmanaged[Cdecl]<byte**, int, Status*> ReleaseAvailableProviders;

    // Session options. Paths are UTF-16 on Windows and UTF-8 elsewhere.
    [FieldOffset(8 * 10)] public readonly delegate* unmanaged[Cdecl]<SessionOptions**, Status*> CreateSessionOptions;
    [FieldOffset(8 * 11)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, void*, Status*> SetOptimizedModelFilePath;
    [FieldOffset(8 * 13)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, int, Status*> SetSessionExecutionMode;
    [FieldOffset(8 * 14)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, void*, Status*> EnableProfiling;
    [FieldOffset(8 * 22)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, OrtLogSeverity, Status*> SetSessionLogSeverityLevel;
    [FieldOffset(8 * 23)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, OrtGraphOptimization, Status*> SetSessionGraphOptimizationLevel;
    [FieldOffset(8 * 24)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, int, Status*> SetIntraOpNumThreads;
    [FieldOffset(8 * 25)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, int, Status*> SetInterOpNumThreads;
    [FieldOffset(8 * 130)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, byte*, byte*, Status*> AddSessionConfigEntry;
    [FieldOffset(8 * 237)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, byte*, int*, Status*> HasSessionConfigEntry;
    [FieldOffset(8 * 238)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, byte*, byte*, nuint*, Status*> GetSessionConfigEntry;
    [FieldOffset(8 * 100)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, void> ReleaseSessionOptions;

    // Custom op domains
    [FieldOffset(8 * 26)] public readonly delegate* unmanaged[Cdecl]<byte*, Domain**, Status*> CreateCustomOpDomain;
    [FieldOffset(8 * 27)] public readonly delegate* unmanaged[Cdecl]<Domain*, OrtCustomOp*, Status*> CustomOpDomainAdd;
    [FieldOffset(8 * 28)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, Domain*, Status*> AddCustomOpDomain;
    [FieldOffset(8 * 101)] public readonly delegate* unmanaged[Cdecl]<Domain*, void> ReleaseCustomOpDomain;
    [FieldOffset(8 * 228)] public readonly delegate* unmanaged[Cdecl]<SessionOptions*, void*, Status*> RegisterCustomOpsLibrary;

    // Session
    [FieldOffset(8 * 7)] public readonly delegate* unmanaged[Cdecl]<Env*, void*, SessionOptions*, Session**, Status*> CreateSession;
    [FieldOffset(8 * 8)] public readonly delegate* unmanaged[Cdecl]<Env*, void*, nuint, SessionOptions*, Session**, Status*> CreateSessionFromArray;
    [FieldOffset(8 * 9)] public readonly delegate* unmanaged[Cdecl]<Session*, RunOptions*, byte**, Value**, nuint, byte**, nuint, Value**, Status*> Run;
    [FieldOffset(8 * 30)] public readonly delegate* unmanaged[Cdecl]<Session*, nuint*, Status*> SessionGetInputCount;
    [FieldOffset(8 * 31)] public readonly delegate* unmanaged[Cdecl]<Session*, nuint*, Status*> SessionGetOutputCount;
    [FieldOffset(8 * 33)] public readonly delegate* unmanaged[Cdecl]<Session*, nuint, TypeInfo**, Status*> SessionGetInputTypeInfo;
    [FieldOffset(8 * 34)] public readonly delegate* unmanaged[Cdecl]<Session*, nuint, TypeInfo**, Status*> SessionGetOutputTypeInfo;
    [FieldOffset(8 * 36)] public readonly delegate* unmanaged[Cdecl]<Session*, nuint, Allocator*, byte**, Status*> SessionGetInputName;
    [FieldOffset(8 * 37)] public readonly delegate* unmanaged[Cdecl]<Session*, nuint, Allocator*, byte**, Status*> SessionGetOutputName;
    [FieldOffset(8 * 95)] public readonly delegate* unmanaged[Cdecl]<Session*, void> ReleaseSession;

    // Options of one run
    [FieldOffset(8 * 39)] public readonly delegate* unmanaged[Cdecl]<RunOptions**, Status*> CreateRunOptions;
    [FieldOffset(8 * 46)] public readonly delegate* unmanaged[Cdecl]<RunOptions*, Status*> RunOptionsSetTerminate;
    [FieldOffset(8 * 97)] public readonly delegate* unmanaged[Cdecl]<RunOptions*, void> ReleaseRunOptions;

    // Values
    [FieldOffset(8 * 49)] public readonly delegate* unmanaged[Cdecl]<MemoryInfo*, void*, nuint, long*, nuint, OnnxElementType, Value**, Status*> CreateTensorWithDataAsOrtValue;
    [FieldOffset(8 * 51)] public readonly delegate* unmanaged[Cdecl]<Value*, void**, Status*> GetTensorMutableData;
    [FieldOffset(8 * 96)] public readonly delegate* unmanaged[Cdecl]<Value*, void> ReleaseValue;

    // Types and shapes
    [FieldOffset(8 * 55)] public readonly delegate* unmanaged[Cdecl]<TypeInfo*, TensorInfo**, Status*> CastTypeInfoToTensorInfo;
    [FieldOffset(8 * 57)] public readonly delegate* unmanaged[Cdecl]<TensorInfo**, Status*> CreateTensorTypeAndShapeInfo;
    [FieldOffset(8 * 58)] public readonly delegate* unmanaged[Cdecl]<TensorInfo*, OnnxElementType, Status*> SetTensorElementType;
    [FieldOffset(8 * 59)] public readonly delegate* unmanaged[Cdecl]<TensorInfo*, long*, nuint, Status*> SetDimensions;
    [FieldOffset(8 * 60)] public readonly delegate* unmanaged[Cdecl]<TensorInfo*, OnnxElementType*, Status*> GetTensorElementType;
    [FieldOffset(8 * 61)] public readonly delegate* unmanaged[Cdecl]<TensorInfo*, nuint*, Status*> GetDimensionsCount;
    [FieldOffset(8 * 62)] public readonly delegate* unmanaged[Cdecl]<TensorInfo*, long*, nuint, Status*> GetDimensions;
    [FieldOffset(8 * 63)] public readonly delegate* unmanaged[Cdecl]<TensorInfo*, byte**, nuint, Status*> GetSymbolicDimensions;
    [FieldOffset(8 * 65)] public readonly delegate* unmanaged[Cdecl]<Value*, TensorInfo**, Status*> GetTensorTypeAndShape;
    [FieldOffset(8 * 98)] public readonly delegate* unmanaged[Cdecl]<TypeInfo*, void> ReleaseTypeInfo;
    [FieldOffset(8 * 99)] public readonly delegate* unmanaged[Cdecl]<TensorInfo*, void> ReleaseTensorTypeAndShapeInfo;
    [FieldOffset(8 * 271)] public readonly delegate* unmanaged[Cdecl]<TensorInfo*, byte**, nuint, Status*> SetSymbolicDimensions;

    // Memory. The default allocator belongs to ONNX Runtime and is never released.
    [FieldOffset(8 * 69)] public readonly delegate* unmanaged[Cdecl]<int, int, MemoryInfo**, Status*> CreateCpuMemoryInfo;
    [FieldOffset(8 * 68)] public readonly delegate* unmanaged[Cdecl]<byte*, int, int, int, MemoryInfo**, Status*> CreateMemoryInfo;
    [FieldOffset(8 * 71)] public readonly delegate* unmanaged[Cdecl]<MemoryInfo*, byte**, Status*> MemoryInfoGetName;
    [FieldOffset(8 * 72)] public readonly delegate* unmanaged[Cdecl]<MemoryInfo*, int*, Status*> MemoryInfoGetId;
    [FieldOffset(8 * 75)] public readonly delegate* unmanaged[Cdecl]<Allocator*, nuint, void**, Status*> AllocatorAlloc;
    [FieldOffset(8 * 76)] public readonly delegate* unmanaged[Cdecl]<Allocator*, void*, Status*> AllocatorFree;
    [FieldOffset(8 * 77)] public readonly delegate* unmanaged[Cdecl]<Allocator*, MemoryInfo**, Status*> AllocatorGetInfo;
    [FieldOffset(8 * 78)] public readonly delegate* unmanaged[Cdecl]<Allocator**, Status*> GetAllocatorWithDefaultOptions;
    [FieldOffset(8 * 132)] public readonly delegate* unmanaged[Cdecl]<Allocator*, void> ReleaseAllocator;

    // A node while its kernel is made
    [FieldOffset(8 * 85)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, byte*, float*, Status*> KernelInfoGetAttributeFloat;
    [FieldOffset(8 * 86)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, byte*, long*, Status*> KernelInfoGetAttributeInt64;
    [FieldOffset(8 * 87)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, byte*, byte*, nuint*, Status*> KernelInfoGetAttributeString;
    [FieldOffset(8 * 162)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, byte*, float*, nuint*, Status*> KernelInfoGetAttributeArrayFloat;
    [FieldOffset(8 * 163)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, byte*, long*, nuint*, Status*> KernelInfoGetAttributeArrayInt64;
    [FieldOffset(8 * 230)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, nuint*, Status*> KernelInfoGetInputCount;
    [FieldOffset(8 * 231)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, nuint*, Status*> KernelInfoGetOutputCount;
    [FieldOffset(8 * 232)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, nuint, byte*, nuint*, Status*> KernelInfoGetInputName;
    [FieldOffset(8 * 233)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, nuint, byte*, nuint*, Status*> KernelInfoGetOutputName;
    [FieldOffset(8 * 234)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, nuint, TypeInfo**, Status*> KernelInfoGetInputTypeInfo;
    [FieldOffset(8 * 236)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, byte*, Allocator*, Value**, Status*> KernelInfoGetAttributeTensor;
    [FieldOffset(8 * 244)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, byte*, nuint*, Status*> KernelInfoGetNodeName;
    [FieldOffset(8 * 278)] public readonly delegate* unmanaged[Cdecl]<NodeInfo*, int, Allocator**, Status*> KernelInfoGetAllocator;

    // A node while it runs
    [FieldOffset(8 * 88)] public readonly delegate* unmanaged[Cdecl]<NodeContext*, nuint*, Status*> KernelContextGetInputCount;
    [FieldOffset(8 * 89)] public readonly delegate* unmanaged[Cdecl]<NodeContext*, nuint*, Status*> KernelContextGetOutputCount;
    [FieldOffset(8 * 90)] public readonly delegate* unmanaged[Cdecl]<NodeContext*, nuint, Value**, Status*> KernelContextGetInput;
    [FieldOffset(8 * 91)] public readonly delegate* unmanaged[Cdecl]<NodeContext*, nuint, long*, nuint, Value**, Status*> KernelContextGetOutput;
    [FieldOffset(8 * 193)] public readonly delegate* unmanaged[Cdecl]<NodeContext*, void**, Status*> KernelContextGetGpuComputeStream;
    [FieldOffset(8 * 253)] public readonly delegate* unmanaged[Cdecl]<NodeContext*, MemoryInfo*, Allocator**, Status*> KernelContextGetAllocator;
    [FieldOffset(8 * 274)] public readonly delegate* unmanaged[Cdecl]<NodeContext*, delegate* unmanaged[Cdecl]<void*, nuint, void>, nuint, nuint, void*, Status*> KernelContextParallelFor;
    [FieldOffset(8 * 277)] public readonly delegate* unmanaged[Cdecl]<NodeContext*, MemoryInfo*, nuint, void**, Status*> KernelContextGetScratchBuffer;

    // Shape inference
    [FieldOffset(8 * 267)] public readonly delegate* unmanaged[Cdecl]<InferContext*, nuint*, Status*> ShapeInferContextGetInputCount;
    [FieldOffset(8 * 268)] public readonly delegate* unmanaged[Cdecl]<InferContext*, nuint, TensorInfo**, Status*> ShapeInferContextGetInputTypeShape;
    [FieldOffset(8 * 269)] public readonly delegate* unmanaged[Cdecl]<InferContext*, byte*, OpAttribute**, Status*> ShapeInferContextGetAttribute;
    [FieldOffset(8 * 270)] public readonly delegate* unmanaged[Cdecl]<InferContext*, nuint, TensorInfo*, Status*> ShapeInferContextSetOutputTypeShape;
    [FieldOffset(8 * 272)] public readonly delegate* unmanaged[Cdecl]<OpAttribute*, int, void*, nuint, nuint*, Status*> ReadOpAttr;
}
