namespace AttentionKernels.Bench.Device;

/// <summary>Memory of a device. The device's context is this thread's when it is made and when it ends.</summary>
internal sealed unsafe class DeviceMemory : IDisposable
{
    private readonly DeviceDriver _driver;
    private void* _data;

    /// <param name="device">Whose.</param>
    /// <param name="bytes">How much; 0 is taken as 1.</param>
    public DeviceMemory(GpuDevice device, nuint bytes)
    {
        _driver = device.Driver;
        Bytes = bytes;
        _data = _driver.Allocate(Math.Max(bytes, 1));
    }

    /// <summary>Device address, 256-byte aligned.</summary>
    public void* Data => _data != null ? _data : throw new ObjectDisposedException(nameof(DeviceMemory));

    /// <summary>Size.</summary>
    public nuint Bytes { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_data != null)
        {
            _driver.Free(_data);
            _data = null;
        }
    }
}
