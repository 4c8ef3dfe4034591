namespace AttentionKernels.Native;

/// <summary>
/// Numbers that stand for objects: the low half is a place, the high half the place's generation, which counts up when the object is removed. A number that was
/// removed, or never given out, is therefore noticed instead of reaching memory.
/// </summary>
/// <typeparam name="T">What is kept.</typeparam>
internal sealed class HandleTable<T>
    where T : class
{
    private readonly Lock _gate = new();
    private readonly List<(uint Generation, T? Item)> _places = [];
    private readonly Stack<int> _free = [];

    /// <summary>Keeps an object until it is removed.</summary>
    /// <returns>Its handle, never 0.</returns>
    public ulong Add(T item)
    {
        lock (_gate)
        {
            if (!_free.TryPop(out int place))
            {
                place = _places.Count;
                // At random, so that small numbers and another library's handles do not fit.
                _places.Add(((uint)Random.Shared.Next(), null));
            }
            uint generation = _places[place].Generation;
            _places[place] = (generation, item);
            return ((ulong)generation << 32) | (uint)(place + 1);
        }
    }

    /// <summary>The object of a handle.</summary>
    /// <exception cref="NativeException">There is none.</exception>
    public T Get(ulong handle)
    {
        lock (_gate)
        {
            return _places[PlaceOf(handle)].Item!;
        }
    }

    /// <summary>Forgets an object. Whoever got it before may still use it.</summary>
    /// <exception cref="NativeException">There is none.</exception>
    public void Remove(ulong handle)
    {
        lock (_gate)
        {
            int place = PlaceOf(handle);
            _places[place] = (_places[place].Generation + 1, null);
            _free.Push(place);
        }
    }

    private int PlaceOf(ulong handle)
    {
        long place = (long)(uint)handle - 1;
        return place >= 0 && place < _places.Count && _places[(int)place] is (uint generation, not null) && generation == (uint)(handle >> 32)
            ? (int)place
            : throw new NativeException(NativeStatus.InvalidHandle, handle == 0 ? "the scope is 0, which is no handle" : $"there is no scope 0x{handle:x}: it was destroyed, or never was one");
    }
}
