using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Element type and shape of a tensor as a graph declares them.</summary>
internal sealed record OnnxTensorType(OnnxElementType ElementType, IReadOnlyList<OnnxDimension> Shape)
{
    /// <summary>Reads a native description, which stays the caller's.</summary>
    public static unsafe OnnxTensorType Read(OrtApi api, TensorInfo* info)
    {
        OnnxElementType type;
        api.Check(api.Table->GetTensorElementType(info, &type));
        nuint rank;
        api.Check(api.Table->GetDimensionsCount(info, &rank));
        long[] values = new long[rank];
        nint[] symbols = new nint[rank]; // owned by info
        fixed (long* value = values)
        fixed (nint* symbol = symbols)
        {
            api.Check(api.Table->GetDimensions(info, value, rank));
            api.Check(api.Table->GetSymbolicDimensions(info, (byte**)symbol, rank));
        }
        OnnxDimension[] shape = new OnnxDimension[rank];
        for (int i = 0; i < shape.Length; i++)
        {
            string? symbol = Marshal.PtrToStringUTF8(symbols[i]);
            shape[i] = !string.IsNullOrEmpty(symbol) ? symbol : values[i] >= 0 ? values[i] : OnnxDimension.Unknown;
        }
        return new OnnxTensorType(type, shape);
    }

    public override string ToString() => $"{ElementType} [{string.Join(",", Shape)}]";
}
