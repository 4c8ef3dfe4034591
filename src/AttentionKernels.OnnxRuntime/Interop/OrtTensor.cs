using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>
/// A tensor in CPU memory: over a pinned array, over memory of its own, or one that ONNX Runtime allocated. A SafeHandle of the
/// native value, so that a tensor that is disposed while a Run uses it stays until that Run ends.
/// </summary>
internal sealed unsafe class OrtTensor : SafeHandle
{
    private const nuint Alignment = 64; // bytes: one AVX-512 register, one cache line

    private readonly OrtApi _api;
    private readonly long[] _shape;
    private PinnedGCHandle<Array> _pinned;
    private void* _owned;

    private OrtTensor(OrtApi api, OnnxElementType type, ReadOnlySpan<long> shape)
        : base(0, ownsHandle: true)
    {
        _api = api;
        _shape = shape.ToArray();
        ElementType = type;
        ElementCount = Count(shape);
    }

    public override bool IsInvalid => handle == 0;

    public OnnxElementType ElementType { get; }

    public long ElementCount { get; }

    public ReadOnlySpan<long> Shape => _shape;

    /// <summary>Address of the first element, valid until Dispose. May be null for a tensor without elements.</summary>
    public void* Data
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsClosed, this);
            return field;
        }
        private set;
    }

    /// <summary>A tensor over an array, which is pinned until Dispose. Writing to either changes both.</summary>
    /// <exception cref="ArgumentException">The array's length is not that of the shape.</exception>
    public static OrtTensor Over<T>(T[] data, params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(data);
        if (data.Length != Count(shape))
        {
            throw new ArgumentException($"the array has {data.Length} elements, expected {Count(shape)} for shape [{string.Join(",", shape.ToArray())}]", nameof(data));
        }
        OrtTensor tensor = new(OrtEnvironment.Get().Api, TypeOf<T>(), shape);
        try
        {
            tensor._pinned = new PinnedGCHandle<Array>(data);
            tensor.Wrap(Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(data)), (nuint)data.Length * (nuint)sizeof(T));
            return tensor;
        }
        catch
        {
            tensor.FreeMemory();
            throw;
        }
    }

    /// <summary>A tensor of zeros in memory of its own, 64-byte aligned.</summary>
    public static OrtTensor Zeros<T>(params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        OrtTensor tensor = new(OrtEnvironment.Get().Api, TypeOf<T>(), shape);
        nuint bytes = checked((nuint)tensor.ElementCount * (nuint)sizeof(T));
        try
        {
            tensor._owned = NativeMemory.AlignedAlloc(Math.Max(bytes, Alignment), Alignment);
            NativeMemory.Clear(tensor._owned, bytes);
            tensor.Wrap(tensor._owned, bytes);
            return tensor;
        }
        catch
        {
            tensor.FreeMemory();
            throw;
        }
    }

    /// <summary>A tensor of any type of fixed size, in memory of its own: a copy of its bytes.</summary>
    /// <exception cref="OrtException"><paramref name="data"/> is shorter than the shape needs.</exception>
    public static OrtTensor Copy(OnnxElementType type, ReadOnlySpan<byte> data, params ReadOnlySpan<long> shape)
    {
        OrtTensor tensor = new(OrtEnvironment.Get().Api, type, shape);
        try
        {
            tensor._owned = NativeMemory.AlignedAlloc(Math.Max((nuint)data.Length, Alignment), Alignment);
            data.CopyTo(new Span<byte>(tensor._owned, data.Length));
            tensor.Wrap(tensor._owned, (nuint)data.Length);
            return tensor;
        }
        catch
        {
            tensor.FreeMemory();
            throw;
        }
    }

    /// <summary>The elements. The span must not be used after Dispose.</summary>
    /// <exception cref="InvalidOperationException">The tensor has elements of another type.</exception>
    public Span<T> Span<T>()
        where T : unmanaged
    {
        void* data = Data;
        return TypeOf<T>() == ElementType
            ? new Span<T>(data, checked((int)ElementCount))
            : throw new InvalidOperationException($"the tensor's elements are {ElementType}, not {TypeOf<T>()}");
    }

    /// <summary>Takes over a value that ONNX Runtime made; it is released even if this throws.</summary>
    internal static OrtTensor TakeOver(OrtApi api, Value* value)
    {
        TensorInfo* info = null;
        try
        {
            api.Check(api.Table->GetTensorTypeAndShape(value, &info));
            OnnxElementType type;
            api.Check(api.Table->GetTensorElementType(info, &type));
            nuint rank;
            api.Check(api.Table->GetDimensionsCount(info, &rank));
            long[] shape = new long[rank];
            fixed (long* dimensions = shape)
            {
                api.Check(api.Table->GetDimensions(info, dimensions, rank));
            }
            void* data;
            api.Check(api.Table->GetTensorMutableData(value, &data));
            OrtTensor tensor = new(api, type, shape) { Data = data };
            tensor.SetHandle((nint)value);
            value = null;
            return tensor;
        }
        finally
        {
            if (info != null)
            {
                api.Table->ReleaseTensorTypeAndShapeInfo(info);
            }
            if (value != null)
            {
                api.Table->ReleaseValue(value);
            }
        }
    }

    protected override bool ReleaseHandle()
    {
        _api.Table->ReleaseValue((Value*)handle);
        FreeMemory();
        return true;
    }

    private static OnnxElementType TypeOf<T>()
        where T : unmanaged =>
        typeof(T) == typeof(float) ? OnnxElementType.Float
        : typeof(T) == typeof(Half) ? OnnxElementType.Float16
        : typeof(T) == typeof(BFloat16) ? OnnxElementType.BFloat16
        : typeof(T) == typeof(byte) ? OnnxElementType.UInt8
        : typeof(T) == typeof(sbyte) ? OnnxElementType.Int8
        : typeof(T) == typeof(int) ? OnnxElementType.Int32
        : typeof(T) == typeof(long) ? OnnxElementType.Int64
        : typeof(T) == typeof(bool) ? OnnxElementType.Bool
        : throw new NotSupportedException($"tensors of {typeof(T).Name} are not supported");

    private static long Count(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long dimension in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dimension, nameof(shape));
            count = checked(count * dimension);
        }
        return count;
    }

    private void Wrap(void* data, nuint bytes)
    {
        Value* value;
        fixed (long* shape = _shape)
        {
            _api.Check(_api.Table->CreateTensorWithDataAsOrtValue(_api.CpuMemory, data, bytes, shape, (nuint)_shape.Length, ElementType, &value));
        }
        Data = data;
        SetHandle((nint)value);
    }

    private void FreeMemory()
    {
        _pinned.Dispose();
        NativeMemory.AlignedFree(_owned);
        _owned = null;
    }
}
