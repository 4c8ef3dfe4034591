using System.Text;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>A node while types and shapes are inferred. Valid during <see cref="CustomOp.InferShapes"/> only.</summary>
internal readonly unsafe ref struct ShapeInferenceContext(OrtApi api, InferContext* context, IReadOnlyList<OpParameter> outputs)
{
    // Before 1.29 (1.28 was not tried) ONNX Runtime writes out of bounds for an output that the node does not list, and there is no way
    // to ask how many it lists.
    private const int FirstMinorThatChecksOutputs = 29;

    private const int IntAttribute = 1;
    private const int FloatAttribute = 3;
    private const int StringAttribute = 5;

    private static long _unknownDimensions;

    private readonly OrtApi _api = api;
    private readonly InferContext* _context = context;
    private readonly IReadOnlyList<OpParameter> _outputs = outputs;

    /// <summary>Inputs that the node lists, skipped ones included.</summary>
    public int InputCount
    {
        get
        {
            nuint count;
            _api.Check(_api.Table->ShapeInferContextGetInputCount(_context, &count));
            return (int)count;
        }
    }

    /// <summary>
    /// Type and shape of an input; null if it is left out or skipped. No dimensions mean a scalar or an unknown rank: ONNX Runtime does
    /// not tell which.
    /// </summary>
    public OnnxTensorType? Input(int index)
    {
        if (index >= InputCount)
        {
            return null;
        }
        TensorInfo* info; // owned by the context
        _api.Check(_api.Table->ShapeInferContextGetInputTypeShape(_context, (nuint)index, &info));
        if (info == null)
        {
            return null;
        }
        OnnxTensorType type = OnnxTensorType.Read(_api, info);
        return type.ElementType == OnnxElementType.Undefined ? null : type;
    }

    /// <summary>Sets type and shape of an output. Does nothing for an optional output that the node leaves out, or may have left out.</summary>
    public void SetOutput(int index, OnnxElementType type, params ReadOnlySpan<OnnxDimension> shape)
    {
        bool optional = _outputs[index].Optional;
        if (optional && _api.Minor < FirstMinorThatChecksOutputs)
        {
            return;
        }
        long[] values = new long[shape.Length];
        string[] symbols = new string[shape.Length];
        for (int i = 0; i < shape.Length; i++)
        {
            values[i] = shape[i].Value;
            // Without a symbol ONNX Runtime would take -1 for the size itself; a shared symbol would promise that sizes are equal.
            symbols[i] = shape[i].Symbol ?? (values[i] >= 0 ? "" : $"attention_kernels_unknown_{Interlocked.Increment(ref _unknownDimensions)}");
        }

        TensorInfo* info;
        _api.Check(_api.Table->CreateTensorTypeAndShapeInfo(&info));
        try
        {
            _api.Check(_api.Table->SetTensorElementType(info, type));
            fixed (long* value = values)
            {
                _api.Check(_api.Table->SetDimensions(info, value, (nuint)values.Length));
            }
            SetSymbols(info, symbols);
            Status* status = _api.Table->ShapeInferContextSetOutputTypeShape(_context, (nuint)index, info);
            if (!optional)
            {
                _api.Check(status);
            }
            else
            {
                _ = _api.Succeeds(status); // fails if the node does not list it
            }
        }
        finally
        {
            _api.Table->ReleaseTensorTypeAndShapeInfo(info);
        }
    }

    /// <summary>An integer attribute, or null if the node has none of that name and kind.</summary>
    public long? Int(string name)
    {
        long value;
        nuint size = 0;
        OpAttribute* attribute = Find(name);
        return attribute != null && _api.Succeeds(_api.Table->ReadOpAttr(attribute, IntAttribute, &value, sizeof(long), &size)) ? value : null;
    }

    /// <summary>A float attribute, or null if the node has none of that name and kind.</summary>
    public float? Float(string name)
    {
        float value;
        nuint size = 0;
        OpAttribute* attribute = Find(name);
        return attribute != null && _api.Succeeds(_api.Table->ReadOpAttr(attribute, FloatAttribute, &value, sizeof(float), &size)) ? value : null;
    }

    /// <summary>A string attribute, or null if the node has none of that name and kind.</summary>
    public string? String(string name)
    {
        OpAttribute* attribute = Find(name);
        if (attribute == null)
        {
            return null;
        }
        nuint size = 0;
        byte none;
        _ = _api.Succeeds(_api.Table->ReadOpAttr(attribute, StringAttribute, &none, 0, &size)); // fails, and tells the size
        byte[] text = new byte[size];
        fixed (byte* pointer = text)
        {
            return size > 0 && _api.Succeeds(_api.Table->ReadOpAttr(attribute, StringAttribute, pointer, size, &size))
                ? Encoding.UTF8.GetString(text.AsSpan().TrimEnd((byte)0))
                : null;
        }
    }

    private OpAttribute* Find(string name)
    {
        using NativeText text = NativeText.Utf8(name);
        OpAttribute* attribute = null; // owned by the context
        return _api.Succeeds(_api.Table->ShapeInferContextGetAttribute(_context, text.Pointer, &attribute)) ? attribute : null;
    }

    private void SetSymbols(TensorInfo* info, string[] symbols)
    {
        // One buffer for all texts, each ended by a zero.
        byte[] buffer = Encoding.UTF8.GetBytes(string.Concat(symbols.Select(s => s + "\0")));
        nint[] pointers = new nint[symbols.Length];
        fixed (byte* text = buffer)
        fixed (nint* pointer = pointers)
        {
            int offset = 0;
            for (int i = 0; i < symbols.Length; i++)
            {
                pointers[i] = (nint)(text + offset);
                offset += Encoding.UTF8.GetByteCount(symbols[i]) + 1;
            }
            _api.Check(_api.Table->SetSymbolicDimensions(info, (byte**)pointer, (nuint)symbols.Length));
        }
    }
}
