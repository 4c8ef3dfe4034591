using System.Runtime.InteropServices;
using System.Text;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>A node while its kernel is made. Valid during <see cref="CustomOp.CreateKernel"/> only.</summary>
internal readonly unsafe ref struct KernelInfo(OrtApi api, NodeInfo* info)
{
    private readonly OrtApi _api = api;
    private readonly NodeInfo* _info = info;

    /// <summary>The node's name in the graph; may be empty.</summary>
    public string NodeName
    {
        get
        {
            nuint size = 0;
            _api.Check(_api.Table->KernelInfoGetNodeName(_info, null, &size));
            byte[] text = new byte[size];
            fixed (byte* pointer = text)
            {
                _api.Check(_api.Table->KernelInfoGetNodeName(_info, pointer, &size));
            }
            return FromUtf8(text);
        }
    }

    /// <summary>Inputs that the node lists, skipped ones included.</summary>
    public int InputCount
    {
        get
        {
            nuint count;
            _api.Check(_api.Table->KernelInfoGetInputCount(_info, &count));
            return (int)count;
        }
    }

    /// <summary>Outputs that the node lists, skipped ones included.</summary>
    public int OutputCount
    {
        get
        {
            nuint count;
            _api.Check(_api.Table->KernelInfoGetOutputCount(_info, &count));
            return (int)count;
        }
    }

    /// <summary>Whether the node gives an input: lists it, and does not skip it.</summary>
    public bool HasInput(int index)
    {
        nuint size = 0;
        // The name of a skipped one is empty: one byte, its end.
        return index < InputCount && _api.Succeeds(_api.Table->KernelInfoGetInputName(_info, (nuint)index, null, &size)) && size > 1;
    }

    /// <summary>Whether the node wants an output: lists it, and does not skip it.</summary>
    public bool HasOutput(int index)
    {
        nuint size = 0;
        return index < OutputCount && _api.Succeeds(_api.Table->KernelInfoGetOutputName(_info, (nuint)index, null, &size)) && size > 1;
    }

    /// <summary>Where the node's tensors are: name and device number of the provider's memory.</summary>
    public (string Name, int Device) Memory
    {
        get
        {
            Allocator* allocator;
            _api.Check(_api.Table->KernelInfoGetAllocator(_info, 0, &allocator)); // default memory of the node's provider
            try
            {
                MemoryInfo* memory;
                byte* name;
                int device;
                _api.Check(_api.Table->AllocatorGetInfo(allocator, &memory));
                _api.Check(_api.Table->MemoryInfoGetName(memory, &name));
                _api.Check(_api.Table->MemoryInfoGetId(memory, &device));
                return (Marshal.PtrToStringUTF8((nint)name) ?? "", device);
            }
            finally
            {
                _api.Table->ReleaseAllocator(allocator);
            }
        }
    }

    /// <summary>One dimension of an input as the graph declares it; null: unknown.</summary>
    /// <param name="index">Input.</param>
    /// <param name="axis">Counted from the end: -1 is the last one.</param>
    public long? Dimension(int index, int axis)
    {
        TypeInfo* type;
        if (index >= InputCount || !_api.Succeeds(_api.Table->KernelInfoGetInputTypeInfo(_info, (nuint)index, &type)))
        {
            return null;
        }
        try
        {
            TensorInfo* tensor; // owned by the type
            nuint rank = 0;
            if (!_api.Succeeds(_api.Table->CastTypeInfoToTensorInfo(type, &tensor)) || tensor == null || !_api.Succeeds(_api.Table->GetDimensionsCount(tensor, &rank))
                || (nuint)(-axis) > rank)
            {
                return null;
            }
            long[] dimensions = new long[rank];
            fixed (long* pointer = dimensions)
            {
                _api.Check(_api.Table->GetDimensions(tensor, pointer, rank));
            }
            return dimensions[(int)rank + axis] > 0 ? dimensions[(int)rank + axis] : null;
        }
        finally
        {
            _api.Table->ReleaseTypeInfo(type);
        }
    }

    /// <summary>The ONNX Runtime that makes the node.</summary>
    public OrtApi Api => _api;

    /// <summary>A float attribute, or null if the node has none of that name.</summary>
    /// <exception cref="OrtException">The attribute is of another kind.</exception>
    public float? Float(string name)
    {
        using NativeText text = NativeText.Utf8(name);
        float value;
        Status* status = _api.Table->KernelInfoGetAttributeFloat(_info, text.Pointer, &value);
        if (status == null)
        {
            return value;
        }
        ThrowUnlessMissing(name, text.Pointer, status, "a float");
        return null;
    }

    /// <summary>An integer attribute, or null if the node has none of that name.</summary>
    /// <exception cref="OrtException">The attribute is of another kind.</exception>
    public long? Int(string name)
    {
        using NativeText text = NativeText.Utf8(name);
        long value;
        Status* status = _api.Table->KernelInfoGetAttributeInt64(_info, text.Pointer, &value);
        if (status == null)
        {
            return value;
        }
        ThrowUnlessMissing(name, text.Pointer, status, "an integer");
        return null;
    }

    /// <summary>A string attribute, or null if the node has none of that name.</summary>
    /// <exception cref="OrtException">The attribute is of another kind.</exception>
    public string? String(string name)
    {
        using NativeText text = NativeText.Utf8(name);
        nuint size = 0;
        Status* status = _api.Table->KernelInfoGetAttributeString(_info, text.Pointer, null, &size);
        if (status == null)
        {
            byte[] value = new byte[size];
            fixed (byte* pointer = value)
            {
                _api.Check(_api.Table->KernelInfoGetAttributeString(_info, text.Pointer, pointer, &size));
            }
            return FromUtf8(value);
        }
        ThrowUnlessMissing(name, text.Pointer, status, "a string");
        return null;
    }

    // The C API has no question "is there such an attribute?" and one error code for both "no" and "of another kind". So try the
    // other kinds. The getters of lists fail only if there is no such attribute: what they find empty is of some other kind.
    private void ThrowUnlessMissing(string name, byte* text, Status* status, string expected)
    {
        _api.Table->ReleaseStatus(status);
        if (KindOf(text) is string actual)
        {
            throw new OrtException(OrtErrorCode.InvalidArgument, $"attribute '{name}' is {actual}, expected {expected}");
        }
    }

    private string? KindOf(byte* name)
    {
        float real;
        long integer;
        nuint size = 0;
        if (_api.Succeeds(_api.Table->KernelInfoGetAttributeFloat(_info, name, &real)))
        {
            return "a float";
        }
        if (_api.Succeeds(_api.Table->KernelInfoGetAttributeInt64(_info, name, &integer)))
        {
            return "an integer";
        }
        if (_api.Succeeds(_api.Table->KernelInfoGetAttributeString(_info, name, null, &size)))
        {
            return "a string";
        }
        Value* tensor;
        if (_api.Succeeds(_api.Table->KernelInfoGetAttributeTensor(_info, name, _api.DefaultAllocator, &tensor)))
        {
            _api.Table->ReleaseValue(tensor);
            return "a tensor";
        }
        nuint floats = 0;
        nuint integers = 0;
        bool exists = _api.Succeeds(_api.Table->KernelInfoGetAttributeArrayFloat(_info, name, null, &floats));
        exists |= _api.Succeeds(_api.Table->KernelInfoGetAttributeArrayInt64(_info, name, null, &integers));
        return floats > 0 ? "a list of floats" : integers > 0 ? "a list of integers" : exists ? "of another kind" : null;
    }

    private static string FromUtf8(ReadOnlySpan<byte> text) => Encoding.UTF8.GetString(text.TrimEnd((byte)0));
}
