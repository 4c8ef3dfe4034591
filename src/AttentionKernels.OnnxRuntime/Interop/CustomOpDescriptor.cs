using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>
/// The native face of a <see cref="CustomOp"/>: the struct that ONNX Runtime calls through, and the callbacks behind it. No managed
/// exception leaves one of them.
/// </summary>
/// <remarks>
/// Native memory holds an <see cref="OrtCustomOp"/> followed by a handle of this object; a native kernel is a handle of a
/// <see cref="Node"/>. Descriptors are never freed: domains and sessions point to them.
/// </remarks>
internal sealed unsafe class CustomOpDescriptor
{
    // Before 1.24 a node that skips an interior input crashes ONNX Runtime when a shape function is set.
    private const int FirstMinorWithShapeInference = 24;

    // OrtMemTypeCPUInput
    private const int MemoryOnHost = -2;

    private readonly OrtApi _api;
    private readonly CustomOp _op;
    private readonly byte* _name;
    private readonly byte* _provider;

    private CustomOpDescriptor(OrtApi api, CustomOp op)
    {
        _api = api;
        _op = op;
        _name = (byte*)Marshal.StringToCoTaskMemUTF8(op.Name);
        _provider = op.Provider == OnnxProvider.Cpu ? null : (byte*)Marshal.StringToCoTaskMemUTF8("CUDAExecutionProvider");
    }

    /// <summary>Makes a descriptor for the rest of the process.</summary>
    public static OrtCustomOp* Create(OrtApi api, CustomOp op)
    {
        Block* block = (Block*)NativeMemory.AllocZeroed((nuint)sizeof(Block));
        block->Owner = GCHandle.ToIntPtr(GCHandle.Alloc(new CustomOpDescriptor(api, op)));
        block->Op.Version = OrtApi.RequiredVersion;
        block->Op.GetName = &GetName;
        block->Op.GetExecutionProviderType = &GetExecutionProviderType;
        block->Op.GetInputType = &GetInputType;
        block->Op.GetInputTypeCount = &GetInputTypeCount;
        block->Op.GetOutputType = &GetOutputType;
        block->Op.GetOutputTypeCount = &GetOutputTypeCount;
        block->Op.GetInputCharacteristic = &GetInputCharacteristic;
        block->Op.GetOutputCharacteristic = &GetOutputCharacteristic;
        block->Op.GetInputMemoryType = &GetInputMemoryType;
        block->Op.CreateKernelV2 = &CreateKernel;
        block->Op.KernelComputeV2 = &Compute;
        block->Op.KernelDestroy = &Destroy;
        if (api.Minor >= FirstMinorWithShapeInference)
        {
            block->Op.InferOutputShapeFn = &InferShapes;
        }
        return &block->Op;
    }

    private static CustomOpDescriptor Of(OrtCustomOp* op) =>
        Unsafe.As<CustomOpDescriptor>(GCHandle.FromIntPtr(((Block*)op)->Owner).Target!);

    // ---- The schema. ONNX Runtime asks only for positions below the counts. ----

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* GetName(OrtCustomOp* op) => Of(op)._name;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* GetExecutionProviderType(OrtCustomOp* op) => Of(op)._provider;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static OnnxElementType GetInputType(OrtCustomOp* op, nuint index) => Of(op)._op.Inputs[(int)index].Type;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nuint GetInputTypeCount(OrtCustomOp* op) => (nuint)Of(op)._op.Inputs.Count;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static OnnxElementType GetOutputType(OrtCustomOp* op, nuint index) => Of(op)._op.Outputs[(int)index].Type;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nuint GetOutputTypeCount(OrtCustomOp* op) => (nuint)Of(op)._op.Outputs.Count;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetInputCharacteristic(OrtCustomOp* op, nuint index) => Of(op)._op.Inputs[(int)index].Optional ? 1 : 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetOutputCharacteristic(OrtCustomOp* op, nuint index) => Of(op)._op.Outputs[(int)index].Optional ? 1 : 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetInputMemoryType(OrtCustomOp* op, nuint index) => Of(op)._op.Inputs[(int)index].OnHost ? MemoryOnHost : 0;

    // ---- Kernels ----

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static Status* CreateKernel(OrtCustomOp* op, OrtApiTable* table, NodeInfo* nodeInfo, void** kernel)
    {
        *kernel = null;
        string where = "";
        try
        {
            CustomOpDescriptor self = Of(op);
            where = self._op.Name;
            KernelInfo info = new(self._api, nodeInfo);
            where = $"{self._op.Name} node '{info.NodeName}'";
            Node node = new(self._api, self._op.CreateKernel(in info), self._op.Inputs, where);
            *kernel = (void*)GCHandle.ToIntPtr(GCHandle.Alloc(node));
            return null;
        }
        catch (Exception e)
        {
            return OrtStatus.FromException(table, e, where);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static Status* Compute(void* kernel, NodeContext* context)
    {
        Node node = Unsafe.As<Node>(GCHandle.FromIntPtr((nint)kernel).Target!);
        try
        {
            node.Kernel.Compute(new KernelContext(node.Api, context, node.Inputs));
            return null;
        }
        catch (Exception e)
        {
            return OrtStatus.FromException(node.Api.Table, e, node.Where);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Destroy(void* kernel)
    {
        if (kernel != null)
        {
            GCHandle.FromIntPtr((nint)kernel).Free();
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static Status* InferShapes(OrtCustomOp* op, InferContext* context)
    {
        CustomOpDescriptor self = Of(op);
        try
        {
            self._op.InferShapes(new ShapeInferenceContext(self._api, context, self._op.Outputs));
            return null;
        }
        catch (Exception e)
        {
            return OrtStatus.FromException(self._api.Table, e, self._op.Name);
        }
    }

    private struct Block
    {
        public OrtCustomOp Op;
        public nint Owner;
    }

    private sealed record Node(OrtApi Api, CustomOpKernel Kernel, IReadOnlyList<OpParameter> Inputs, string Where);
}
