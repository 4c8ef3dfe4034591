using System.Runtime.InteropServices;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Cuda;

namespace AttentionKernels.Bench.Device;

/// <summary>A case's tensors on the device, the calls of the engine over them, and what the host knows of their elements.</summary>
/// <remarks>
/// A prompt's tensors are [B, S, heads * D]. A cache is [B, KvHeads, T, D], and there are as many of them as it takes that together they are four times the second-level cache: calls take them in
/// turns, and find none of their keys there.
/// </remarks>
internal sealed unsafe class DeviceTensors : IDisposable
{
    private const int CachesOverL2 = 4;
    private const int MostCaches = 512;

    // Where tensors begin in the pool of random numbers: far apart, no multiple of a row.
    private const int QueryFirst = 0, KeyFirst = 350003, ValueFirst = 700001, NewKeyFirst = 175003, NewValueFirst = 525001;

    private readonly DeviceCase _case;
    private readonly RandomPool _pool;
    private readonly List<DeviceMemory> _owned = [];
    private readonly DeviceMemory _query, _key, _value, _output, _headScores;
    private readonly DeviceMemory? _newKey, _newValue, _rotatedQuery, _angles, _lengths;
    private readonly float[]? _cos, _sin;
    private readonly byte[] _modality = [];
    private readonly long[] _speakers = [];
    private readonly int[] _frames = [];

    /// <summary>Allocates and fills. The device's context is this thread's.</summary>
    public DeviceTensors(GpuDevice device, RandomPool pool, in DeviceCase c)
    {
        (_case, _pool, Caches) = (c, pool, CachesOf(c, device.Description.L2Bytes));
        try
        {
            long rows = (long)c.Batch * c.Rows * c.Shape.HeadSize, keys = (long)Caches * c.Batch * c.Keys * c.Shape.KvHeads * c.Shape.HeadSize;
            _query = Random(device, rows * c.Shape.Heads, QueryFirst);
            _key = Random(device, keys, KeyFirst);
            _value = Random(device, keys, ValueFirst);
            _output = Own(device, rows * c.Shape.Heads * c.Type.Size());
            _headScores = Own(device, (long)c.Batch * c.Shape.Heads * sizeof(float));
            if (c.Kind == DeviceCaseKind.Append)
            {
                _newKey = Random(device, rows * c.Shape.KvHeads, NewKeyFirst);
                _newValue = Random(device, rows * c.Shape.KvHeads, NewValueFirst);
                _rotatedQuery = Own(device, rows * c.Shape.Heads * c.Type.Size());
                (_cos, _sin) = Angles(c);
                _angles = Own(device, 2L * _cos.Length * c.Type.Size());
                device.Upload(_angles.Data, Bytes(_cos, c.Type));
                device.Upload((byte*)_angles.Data + ((long)_cos.Length * c.Type.Size()), Bytes(_sin, c.Type));
                _lengths = Own(device, 3L * c.Batch * sizeof(int));
                device.Upload(_lengths.Data, MemoryMarshal.AsBytes(Enumerable.Repeat(c.Keys - 1, c.Batch).ToArray().AsSpan()));
            }
            if (c.Kind == DeviceCaseKind.Steered)
            {
                Roles = new ClipRoles(c.Rows);
                _modality = Repeat(Roles.Modality, c.Batch);
                _speakers = Repeat(Roles.Speakers, c.Batch);
                _frames = Repeat(Roles.Spans, c.Batch);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Caches of keys and values that calls take in turns.</summary>
    public int Caches { get; }

    /// <summary>Roles of each element's tokens; null: the case has none.</summary>
    public ClipRoles? Roles { get; }

    /// <summary>[B, S, H * D].</summary>
    public DeviceMemory Output => _output;

    /// <summary>[B, H].</summary>
    public DeviceMemory HeadScores => _headScores;

    /// <summary>Scale of the logits.</summary>
    public float Scale => 1 / MathF.Sqrt(_case.Shape.HeadSize);

    /// <summary>Device memory that a case needs, about.</summary>
    public static double BytesOf(in DeviceCase c, int l2Bytes)
    {
        double query = (double)c.Batch * c.Rows * c.Shape.Heads * c.Shape.HeadSize * c.Type.Size();
        return (CachesOf(c, l2Bytes) * c.CacheBytes) + (c.Kind == DeviceCaseKind.Append ? 4 : 3) * query;
    }

    /// <summary>Plain attention over a cache.</summary>
    public CudaCall Plain(int cache) => new() { Problem = Problem(cache) };

    /// <summary>Every head steered, scores out.</summary>
    public CudaCall Steered() => new() { Problem = Problem(0), Bias = Bias() };

    /// <summary>Scores alone.</summary>
    public CudaCall Scores() => new() { Problem = Problem(0) with { Value = default, Output = default }, Bias = Bias() };

    /// <summary>New rows rotated and put at the end of a cache, lengths made on the device as in com.microsoft::GroupQueryAttention, then plain attention.</summary>
    public CudaCall Append(int cache)
    {
        AttentionProblem problem = Problem(cache);
        return new CudaCall
        {
            Problem = problem,
            Append = new CudaAppend
            {
                Query = TensorView.Bshd(_query.Data, _case.Type, _case.Shape.Heads, _case.Rows, _case.Shape.HeadSize),
                Key = TensorView.Bshd(_newKey!.Data, _case.Type, _case.Shape.KvHeads, _case.Rows, _case.Shape.HeadSize),
                Value = TensorView.Bshd(_newValue!.Data, _case.Type, _case.Shape.KvHeads, _case.Rows, _case.Shape.HeadSize),
                NewKeys = _case.Rows,
                PastKey = problem.Key.Data,
                PastValue = problem.Value.Data,
                PastLength = _case.Keys,
                PresentKey = problem.Key.Data,
                PresentValue = problem.Value.Data,
                PresentLength = _case.Keys,
                MovedQuery = _rotatedQuery!.Data,
                CosCache = _angles!.Data,
                SinCache = (byte*)_angles.Data + ((long)_cos!.Length * _case.Type.Size()),
                RotaryPairs = _case.Shape.HeadSize / 2,
                Positions = _case.Keys,
                SeqlensK = (int*)_lengths!.Data,
            },
        };
    }

    /// <summary>A row of the query as attention sees it.</summary>
    public float[] QueryRow(int b, int h, int row)
    {
        float[] values = _pool.Row(QueryFirst, Rows(_case.Shape.Heads).Offset(b, h, row), _case.Shape.HeadSize).ToArray();
        return _cos == null ? values : Rotated(values, _case.Keys - _case.Rows + row);
    }

    /// <summary>A row of the keys as attention sees it.</summary>
    public ReadOnlySpan<float> KeyRow(int cache, int b, int kvHead, int key)
    {
        int added = key - (_case.Keys - _case.Rows);
        return _cos == null || added < 0
            ? _pool.Row(KeyFirst, CacheOffset(cache) + KeyView().Offset(b, kvHead, key), _case.Shape.HeadSize)
            : Rotated(_pool.Row(NewKeyFirst, Rows(_case.Shape.KvHeads).Offset(b, kvHead, added), _case.Shape.HeadSize).ToArray(), key);
    }

    /// <summary>A row of the values.</summary>
    public ReadOnlySpan<float> ValueRow(int cache, int b, int kvHead, int key)
    {
        int added = key - (_case.Keys - _case.Rows);
        return _cos == null || added < 0
            ? _pool.Row(ValueFirst, CacheOffset(cache) + KeyView().Offset(b, kvHead, key), _case.Shape.HeadSize)
            : _pool.Row(NewValueFirst, Rows(_case.Shape.KvHeads).Offset(b, kvHead, added), _case.Shape.HeadSize);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _owned.ForEach(memory => memory.Dispose());
        _owned.Clear();
    }

    private static int CachesOf(in DeviceCase c, int l2Bytes) =>
        c.Kind is DeviceCaseKind.Decode or DeviceCaseKind.Append && c.Rows < c.Keys ? (int)Math.Clamp(Math.Ceiling(CachesOverL2 * (double)l2Bytes / c.CacheBytes), 1, MostCaches) : 1;

    private AttentionProblem Problem(int cache)
    {
        (int heads, int size, ElementType type) = (_case.Shape.Heads, _case.Shape.HeadSize, _case.Type);
        TensorView keys = KeyView();
        long first = CacheOffset(cache) * type.Size();
        return new AttentionProblem
        {
            Batch = _case.Batch,
            Heads = heads,
            KvHeads = _case.Shape.KvHeads,
            QueryLength = _case.Rows,
            KeyLength = _case.Keys,
            HeadSize = size,
            ValueHeadSize = size,
            Query = _rotatedQuery != null ? TensorView.Bhsd(_rotatedQuery.Data, type, heads, _case.Rows, size) : Over(_query, Rows(heads)),
            Key = new TensorView((byte*)_key.Data + first, type, keys.BatchStride, keys.HeadStride, keys.RowStride),
            Value = new TensorView((byte*)_value.Data + first, type, keys.BatchStride, keys.HeadStride, keys.RowStride),
            Output = Over(_output, Rows(heads)),
            Scale = Scale,
            Causal = _case.Causal,
            KeyLengths = _lengths == null ? null : (int*)_lengths.Data + _case.Batch,
            QueryOffsets = _lengths == null ? null : (int*)_lengths.Data + (2 * _case.Batch),
        };
    }

    private SocialBias Bias() => new()
    {
        Keys = new TokenRoles
        {
            Modality = (byte*)Address(_modality),
            Speakers = (long*)Address(_speakers),
            Frames = (int*)Address(_frames),
            Length = _case.Rows,
        },
        Alpha = 1,
        Lambda = 0,
        HeadScores = (float*)_headScores.Data,
    };

    private TensorView Rows(int heads) => TensorView.Bshd(null, _case.Type, heads, _case.Rows, _case.Shape.HeadSize);

    private TensorView KeyView() => _case.Kind is DeviceCaseKind.Decode or DeviceCaseKind.Append
        ? TensorView.Bhsd(null, _case.Type, _case.Shape.KvHeads, _case.Keys, _case.Shape.HeadSize)
        : TensorView.Bshd(null, _case.Type, _case.Shape.KvHeads, _case.Keys, _case.Shape.HeadSize);

    private long CacheOffset(int cache) => (long)cache * _case.Batch * _case.Shape.KvHeads * _case.Keys * _case.Shape.HeadSize;

    private static TensorView Over(DeviceMemory memory, TensorView view) => new(memory.Data, view.Type, view.BatchStride, view.HeadStride, view.RowStride);

    private DeviceMemory Own(GpuDevice device, long bytes)
    {
        DeviceMemory memory = new(device, (nuint)bytes);
        _owned.Add(memory);
        return memory;
    }

    private DeviceMemory Random(GpuDevice device, long elements, int first)
    {
        DeviceMemory memory = Own(device, elements * _case.Type.Size());
        _pool.Fill(memory.Data, elements, first);
        return memory;
    }

    /// <summary>[T, D / 2] cosines and sines of the usual rotary embedding, rounded to the tensors' type.</summary>
    private static (float[] Cos, float[] Sin) Angles(in DeviceCase c)
    {
        const double Theta = 10000;
        int pairs = c.Shape.HeadSize / 2;
        (float[] cos, float[] sin) = (new float[c.Keys * pairs], new float[c.Keys * pairs]);
        for (int i = 0; i < cos.Length; i++)
        {
            double angle = i / pairs * Math.Pow(Theta, -(double)(i % pairs) / pairs);
            (cos[i], sin[i]) = (RowReference.Rounded(c.Type, (float)Math.Cos(angle)), RowReference.Rounded(c.Type, (float)Math.Sin(angle)));
        }
        return (cos, sin);
    }

    private float[] Rotated(float[] row, int position)
    {
        int pairs = row.Length / 2, angles = position * pairs;
        for (int i = 0; i < pairs; i++)
        {
            (float x, float y, float cos, float sin) = (row[i], row[i + pairs], _cos![angles + i], _sin![angles + i]);
            (row[i], row[i + pairs]) = (RowReference.Rounded(_case.Type, (x * cos) - (y * sin)), RowReference.Rounded(_case.Type, (x * sin) + (y * cos)));
        }
        return row;
    }

    private static byte[] Bytes(float[] values, ElementType type)
    {
        byte[] bytes = new byte[values.Length * type.Size()];
        fixed (byte* target = bytes)
        {
            for (int i = 0; i < values.Length; i++)
            {
                type.Store(target, i, values[i]);
            }
        }
        return bytes;
    }

    // The engine keeps addresses of roles for the time of a call only; pinned, they hold for as long as these arrays live.
    private static T[] Repeat<T>(T[] values, int times)
        where T : unmanaged
    {
        T[] repeated = GC.AllocateUninitializedArray<T>(values.Length * times, pinned: true);
        for (int n = 0; n < times; n++)
        {
            values.CopyTo(repeated.AsSpan(n * values.Length));
        }
        return repeated;
    }

    private static void* Address<T>(T[] pinned)
        where T : unmanaged => (void*)Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);
}
