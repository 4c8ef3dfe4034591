using System.Diagnostics;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Cuda;

namespace AttentionKernels.Bench.Device;

/// <summary>A call of the engine, put into the stream as an operator does it.</summary>
/// <param name="name">Its name.</param>
/// <param name="device">The device; its context is this thread's.</param>
/// <param name="calls">The call over each of the caches, which take turns.</param>
/// <param name="check">Checks what the call over a cache has left on the device; returns the largest relative error.</param>
/// <param name="hostCalls">Calls to measure the host's time with.</param>
internal sealed unsafe class OwnSide(string name, GpuDevice device, CudaCall[] calls, Func<int, double> check, int hostCalls) : DeviceSide(name), IDisposable
{
    // As many are put into the stream without a wait: the driver's queue holds about a thousand launches, and a steered call has six.
    private const int BurstCalls = 128;

    private DeviceMemory? _scratch;
    private int _next;

    /// <inheritdoc/>
    public override bool IsOwn => true;

    /// <inheritdoc/>
    public override double Prepare(CancellationToken cancellation)
    {
        ref readonly AttentionProblem problem = ref calls[0].Problem;
        calls[0].Validate();
        device.Context.Load(AttentionCuda.KernelsFor(device.Context.Kernels, problem.Query.Type, problem.HeadSize));
        CudaQueue queue = new(device.Context, device.Stream);
        try
        {
            _scratch = new DeviceMemory(device, AttentionCuda.ScratchBytes(ref queue, calls[0]));
        }
        finally
        {
            queue.Dispose();
        }
        double error = 0;
        foreach (int cache in new SortedSet<int> { 0, calls.Length - 1 })
        {
            cancellation.ThrowIfCancellationRequested();
            Enqueue(calls[cache]);
            error = Math.Max(error, check(cache));
        }
        HostMicroseconds = 1000 * MeasureHost();
        return error;
    }

    /// <inheritdoc/>
    public override double Time(int calls, CancellationToken cancellation)
    {
        double milliseconds = 0;
        for (int done = 0; done < calls; done += BurstCalls)
        {
            cancellation.ThrowIfCancellationRequested();
            milliseconds += device.Time(_ => Enqueue(Next()), Math.Min(BurstCalls, calls - done), (HostMicroseconds ?? 0) / 1000);
        }
        return milliseconds / calls;
    }

    /// <summary>Times the operations of some calls one by one.</summary>
    /// <returns>Each operation once, in the order of a call, with the median over calls of its milliseconds.</returns>
    public IReadOnlyList<KernelShare> Trace(int rounds, CancellationToken cancellation)
    {
        List<IReadOnlyList<(string Operation, double Milliseconds)>> traces = [];
        for (int n = 0; n < rounds; n++)
        {
            cancellation.ThrowIfCancellationRequested();
            traces.Add(device.Trace(() => Enqueue(Next()), (HostMicroseconds ?? 0) / 1000));
        }
        (string Operation, double Milliseconds)[] medians =
        [
            .. traces[0].Select(t => t.Operation).Distinct().Select(operation =>
                (operation, Statistics.Median(traces.Select(trace => trace.Where(t => t.Operation == operation).Sum(t => t.Milliseconds))))),
        ];
        double all = medians.Sum(m => m.Milliseconds);
        return [.. medians.Select(m => new KernelShare(m.Operation, m.Milliseconds, m.Milliseconds / all))];
    }

    /// <inheritdoc/>
    public void Dispose() => _scratch?.Dispose();

    private ref readonly CudaCall Next() => ref calls[_next++ % calls.Length];

    private void Enqueue(in CudaCall call)
    {
        CudaQueue queue = new(device.Context, device.Stream);
        try
        {
            nuint bytes = AttentionCuda.ScratchBytes(ref queue, call);
            AttentionCuda.Run(ref queue, call, _scratch!.Data, bytes);
        }
        finally
        {
            queue.Dispose();
        }
    }

    /// <summary>Milliseconds of the host for one call, the stream being empty before: the driver's queue is never full.</summary>
    private double MeasureHost()
    {
        double[] times = new double[hostCalls];
        // The second pass counts: in the first, a steered call gets pinned memory that no earlier call has left.
        for (int pass = 0; pass < 2; pass++)
        {
            for (int n = 0; n < hostCalls; n++)
            {
                long start = Stopwatch.GetTimestamp();
                Enqueue(Next());
                times[n] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
            device.Driver.Synchronize(device.Stream);
        }
        return Statistics.Median(times);
    }
}
