using AttentionKernels.Bench.Compare;
using AttentionKernels.Cuda;
using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Bench.Device;

/// <summary>
/// A device to measure on: its context, which is the engine's own, a stream of ours, timers, and two buffers to copy between. Methods work in the device's context, which must be this
/// thread's (<see cref="CudaContext.Enter"/>); making and ending it enter by themselves. Not thread-safe.
/// </summary>
internal sealed unsafe class GpuDevice : IDisposable
{
    // CU_DEVICE_ATTRIBUTE_...
    private const int MemoryClockRate = 36, MemoryBusWidth = 37, L2CacheSize = 38;

    private const nuint MostCopyBytes = 1 << 30;
    private const int CopyRounds = 5, CopiesPerRound = 4, MostCoverCopies = 256;

    // Rows are read back through this much pinned memory, and small tables are uploaded through it.
    private const int StagingBytes = 1 << 20;

    private readonly WorkStream* _stream;
    private readonly Event* _start, _end;
    private readonly byte* _staging;
    private readonly DeviceMemory _copySource, _copyTarget;

    /// <summary>For tests; else <see cref="Open"/>.</summary>
    public GpuDevice(CudaContext context, int ordinal)
    {
        (Context, Ordinal, Driver) = (context, ordinal, new DeviceDriver(context.Driver));
        using CudaContext.Use use = context.Enter();
        _stream = Driver.CreateStream();
        _start = Driver.CreateTimer();
        _end = Driver.CreateTimer();
        _staging = (byte*)context.Driver.AllocatePinned(StagingBytes);
        nuint bytes = Math.Min(MostCopyBytes, Driver.Memory().Free / 8) & ~(nuint)4095;
        _copySource = new DeviceMemory(this, bytes);
        _copyTarget = new DeviceMemory(this, bytes);
        Copy();
        CopyMilliseconds = Statistics.Median(Enumerable.Range(0, CopyRounds).Select(_ => MeasureCopies()));
        Description = Describe();
    }

    public CudaContext Context { get; }

    /// <summary>Number among the visible devices.</summary>
    public int Ordinal { get; }

    public DeviceDriver Driver { get; }

    public WorkStream* Stream => _stream;

    /// <summary>What it is.</summary>
    public DeviceDescription Description { get; }

    /// <summary>Time of one copy between the two buffers.</summary>
    private double CopyMilliseconds { get; }

    /// <summary>A device of this machine's driver.</summary>
    /// <exception cref="CudaException">There is no driver, no such device, or one that is too old.</exception>
    public static GpuDevice Open(int ordinal) => new(CudaContext.OfDevice(ordinal), ordinal);

    /// <summary>
    /// Times calls on the device. Before them the device copies for as long as the host needs to put them into the stream, so that it does not wait for the host, however short they are (as
    /// long as the driver's queue has room).
    /// </summary>
    /// <param name="enqueue">Puts call n into <see cref="Stream"/>.</param>
    /// <param name="calls">How many.</param>
    /// <param name="hostMilliseconds">What the host needs for one.</param>
    /// <returns>Milliseconds from before the first to after the last.</returns>
    public double Time(Action<int> enqueue, int calls, double hostMilliseconds)
    {
        Cover(calls * hostMilliseconds);
        Record(_start);
        for (int n = 0; n < calls; n++)
        {
            enqueue(n);
        }
        Record(_end);
        Context.Driver.Wait(_end);
        return Driver.Elapsed(_start, _end);
    }

    /// <summary>Times each operation of one call: the time from its predecessor's end to its own.</summary>
    /// <param name="call">Puts the call into the stream.</param>
    /// <param name="hostMilliseconds">What the host needs for it.</param>
    /// <returns>Kernel's stem, "upload" or "clear", and milliseconds, in their order.</returns>
    public IReadOnlyList<(string Operation, double Milliseconds)> Trace(Action call, double hostMilliseconds)
    {
        List<(string Operation, nint Timer)> ends = [];
        try
        {
            // Each operation has a timer of its own to record, too.
            Cover(3 * hostMilliseconds);
            Record(_start);
            Context.Enqueued = (operation, _) =>
            {
                Event* timer = Driver.CreateTimer();
                ends.Add((operation, (nint)timer));
                Record(timer);
            };
            call();
            Context.Enqueued = null;
            Driver.Synchronize(_stream);
            List<(string Operation, double Milliseconds)> times = [];
            Event* before = _start;
            foreach ((string operation, nint timer) in ends)
            {
                times.Add((operation, Driver.Elapsed(before, (Event*)timer)));
                before = (Event*)timer;
            }
            return times;
        }
        finally
        {
            Context.Enqueued = null;
            ends.ForEach(end => Driver.Destroy((Event*)end.Timer));
        }
    }

    /// <summary>Copies host memory to the device and waits.</summary>
    public void Upload(void* target, ReadOnlySpan<byte> bytes)
    {
        for (int at = 0; at < bytes.Length; at += StagingBytes)
        {
            ReadOnlySpan<byte> part = bytes[at..Math.Min(at + StagingBytes, bytes.Length)];
            part.CopyTo(new Span<byte>(_staging, StagingBytes));
            Context.Driver.Upload((long)target + at, _staging, (nuint)part.Length, _stream);
            Driver.Synchronize(_stream);
        }
    }

    /// <summary>Waits for all that is in the stream and copies device memory to the host.</summary>
    /// <param name="source">Device memory.</param>
    /// <param name="target">At most 1 MiB.</param>
    public void Download(void* source, Span<byte> target)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(target.Length, StagingBytes);
        Context.Driver.Download(_staging, (long)source, (nuint)target.Length, _stream);
        Driver.Synchronize(_stream);
        new ReadOnlySpan<byte>(_staging, target.Length).CopyTo(target);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        using CudaContext.Use use = Context.Enter();
        _copySource.Dispose();
        _copyTarget.Dispose();
        Driver.Destroy(_start);
        Driver.Destroy(_end);
        Driver.Destroy(_stream);
    }

    /// <summary>Keeps the device busy for about so long, and a copy longer.</summary>
    private void Cover(double milliseconds)
    {
        double copies = Math.Clamp(Math.Ceiling(1.25 * milliseconds / CopyMilliseconds), 0, MostCoverCopies);
        for (int n = 0; n <= copies; n++)
        {
            Copy();
        }
    }

    private void Copy() => Driver.Copy(_copyTarget.Data, _copySource.Data, _copySource.Bytes, _stream);

    private void Record(Event* timer) => Context.Driver.Record(timer, _stream);

    private double MeasureCopies()
    {
        Record(_start);
        for (int n = 0; n < CopiesPerRound; n++)
        {
            Copy();
        }
        Record(_end);
        Context.Driver.Wait(_end);
        return Driver.Elapsed(_start, _end) / CopiesPerRound;
    }

    private DeviceDescription Describe()
    {
        int device = Context.Driver.Device(Ordinal);
        int clock = Context.Driver.Attribute(device, MemoryClockRate), bus = Context.Driver.Attribute(device, MemoryBusWidth);
        return new DeviceDescription(
            Ordinal,
            Driver.Name(device),
            FormattableString.Invariant($"{Context.Driver.Attribute(device, CapabilityMajor)}.{Context.Driver.Attribute(device, CapabilityMinor)}"),
            Context.Multiprocessors,
            Driver.Memory().Total,
            Context.Driver.Attribute(device, L2CacheSize),
            Driver.Version(),
            2 * (double)_copySource.Bytes / CopyMilliseconds / 1e6,
            DeviceDescription.DataSheetOf(clock, bus));
    }
}
