using System.Diagnostics;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Report;
using AttentionKernels.Cuda;

namespace AttentionKernels.Bench.Device;

/// <summary>
/// Measures the CUDA engine on a device, and PyTorch beside it. A side is timed only after its result was compared with the host's float64. Sides of a case are timed in turns, in random order within a
/// round, whichever process they are in.
/// </summary>
internal sealed unsafe class DeviceBenchmark
{
    private const int MostCalls = 4096;

    // What a case may take of the free memory: PyTorch's process has tensors of the same sizes, and copies of some.
    private const double MemoryPart = 0.4;

    private static readonly TimeSpan TorchLimit = TimeSpan.FromMinutes(5);

    private readonly GpuDevice _device;
    private readonly DeviceBudget _budget;
    private readonly TorchPeer? _torch;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<ElementType, RandomPool> _pools = [];
    private readonly Random _random = new(1);
    private string? _stopped;

    private DeviceBenchmark(GpuDevice device, DeviceBudget budget, TorchPeer? torch, CancellationToken cancellation) =>
        (_device, _budget, _torch, _cancellation) = (device, budget, torch, cancellation);

    /// <summary>Runs a request.</summary>
    /// <param name="request">What to measure.</param>
    /// <param name="progress">Told what happens next.</param>
    /// <param name="cancellation">Ends it between two samples, and PyTorch's process at once.</param>
    /// <exception cref="CudaException">There is no driver, no such device, or it does not work.</exception>
    /// <exception cref="BenchException">No case fits the filter.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was cancelled.</exception>
    public static DeviceReport Run(DeviceRequest request, Action<string> progress, CancellationToken cancellation)
    {
        IReadOnlyList<DeviceCase> cases = request.ChooseCases();
        using GpuDevice device = GpuDevice.Open(request.Ordinal);
        return Run(request, device, cases, request.Quick ? DeviceBudget.Quick : DeviceBudget.Full, TorchLimit, progress, cancellation);
    }

    /// <summary>Runs given cases on a given device.</summary>
    /// <param name="request">Whether PyTorch is compared with.</param>
    /// <param name="device">The device.</param>
    /// <param name="cases">Cases.</param>
    /// <param name="budget">How often each is measured.</param>
    /// <param name="torchLimit">How long an answer of PyTorch's process may take.</param>
    /// <param name="progress">Told what happens next.</param>
    /// <param name="cancellation">As above.</param>
    public static DeviceReport Run(
        DeviceRequest request, GpuDevice device, IReadOnlyList<DeviceCase> cases, DeviceBudget budget, TimeSpan torchLimit, Action<string> progress, CancellationToken cancellation)
    {
        MachineDescription machine = MachineDescription.Read();
        using CudaContext.Use use = device.Context.Enter();
        using TorchPeer? peer = request.Torch ? new TorchPeer(request.Python, device.Ordinal, torchLimit) : null;
        TorchDescription torch = peer?.Start(cancellation) ?? TorchDescription.None("not asked for");
        progress(torch.Missing == null ? $"PyTorch {torch.Version}" : $"no PyTorch: {torch.Missing}");
        DeviceBenchmark benchmark = new(device, budget, torch.Missing == null ? peer : null, cancellation);
        long start = Stopwatch.GetTimestamp();
        List<DeviceCaseResult> results = [];
        for (int i = 0; i < cases.Count && benchmark._stopped == null; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            progress(FormattableString.Invariant($"[{i + 1}/{cases.Count}, {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s] {cases[i]}"));
            results.Add(benchmark.Measure(cases[i]));
        }
        // A run whose cases all lacked memory has shown nothing.
        bool succeeded = benchmark._stopped == null && results.Any(r => r.Sides.Any(s => s.Status == DeviceSideStatus.Measured)) && results.All(r => r.Sides.All(s => s.Status == DeviceSideStatus.Measured || s.Side.StartsWith("torch", StringComparison.Ordinal)));
        return new DeviceReport(request.Quick, machine, device.Description, torch, benchmark._stopped, [.. DeviceBar.All.Select(bar => DeviceBarResult.Of(bar, results))], results) { Succeeded = succeeded };
    }

    private DeviceCaseResult Measure(in DeviceCase c)
    {
        double needed = DeviceTensors.BytesOf(c, _device.Description.L2Bytes), free = _device.Driver.Memory().Free;
        if (needed > MemoryPart * free)
        {
            return new DeviceCaseResult(c, FormattableString.Invariant($"not run: it needs {needed / 1e9:0.0} GB of the {free / 1e9:0.0} GB that are free, expected at most {MemoryPart:P0}"), null, null, []);
        }
        try
        {
            if (!_pools.TryGetValue(c.Type, out RandomPool? pool))
            {
                pool = new RandomPool(_device, c.Type);
                _pools.Add(c.Type, pool);
            }
            using DeviceTensors tensors = new(_device, pool, c);
            return new DeviceCaseResult(c, null, tensors.Roles?.ToString(), tensors.Caches, MeasureSides(c, tensors));
        }
        catch (CudaException e)
        {
            NoteLoss(e);
            return new DeviceCaseResult(c, $"not run: {e.Message}", null, null, []);
        }
    }

    private IReadOnlyList<DeviceSideResult> MeasureSides(DeviceCase c, DeviceTensors tensors)
    {
        List<DeviceSide> all = [.. OwnSides(c, tensors)];
        all.AddRange(_torch == null ? [] : SideNames.TorchOf(c).Select(name => new TorchSide(name, _torch, c, tensors)));
        try
        {
            Dictionary<DeviceSide, DeviceSideResult> failures = [];
            Dictionary<DeviceSide, double> errors = [];
            Dictionary<DeviceSide, int> calls = [];
            foreach (DeviceSide side in all)
            {
                Try(side, failures, () =>
                {
                    errors[side] = side.Prepare(_cancellation);
                    double trial = Math.Max(side.Time(1, _cancellation), 1e-4);
                    calls[side] = (int)Math.Clamp(Math.Ceiling(_budget.SampleMilliseconds / trial), 1, MostCalls);
                    side.Time(calls[side], _cancellation);
                });
            }
            Dictionary<DeviceSide, List<double>> samples = TimeInTurns(all, calls, failures);
            Dictionary<DeviceSide, IReadOnlyList<KernelShare>> kernels = [];
            foreach (OwnSide side in all.OfType<OwnSide>().Where(side => c.Kind is DeviceCaseKind.Steered or DeviceCaseKind.Append && !failures.ContainsKey(side)))
            {
                Try(side, failures, () => kernels[side] = side.Trace(_budget.TraceCalls, _cancellation));
            }
            IReadOnlyList<double>? first = failures.ContainsKey(all[0]) ? null : samples[all[0]];
            return [.. all.Select(side => failures.GetValueOrDefault(side) ?? Result(c, side, errors[side], calls[side], samples[side], first, kernels.GetValueOrDefault(side)))];
        }
        finally
        {
            _torch?.Release(_cancellation);
            foreach (OwnSide side in all.OfType<OwnSide>())
            {
                side.Dispose();
            }
        }
    }

    private Dictionary<DeviceSide, List<double>> TimeInTurns(IReadOnlyList<DeviceSide> sides, Dictionary<DeviceSide, int> calls, Dictionary<DeviceSide, DeviceSideResult> failures)
    {
        Dictionary<DeviceSide, List<double>> samples = sides.ToDictionary(side => side, _ => new List<double>());
        DeviceSide[] order = [.. sides];
        long start = Stopwatch.GetTimestamp();
        for (int round = 0; round < _budget.Least || (round < _budget.Most && Stopwatch.GetElapsedTime(start) < _budget.Time); round++)
        {
            _random.Shuffle(order);
            foreach (DeviceSide side in order.Where(side => !failures.ContainsKey(side)))
            {
                _cancellation.ThrowIfCancellationRequested();
                Try(side, failures, () => samples[side].Add(side.Time(calls[side], _cancellation)));
            }
        }
        return samples;
    }

    private OwnSide[] OwnSides(DeviceCase c, DeviceTensors tensors)
    {
        ResultCheck check = new(_device, tensors, c);
        CudaCall[] plain = [.. Enumerable.Range(0, tensors.Caches).Select(tensors.Plain)];
        return c.Kind switch
        {
            DeviceCaseKind.Prefill => [Side(SideNames.Plain, plain, cache => check.Output(cache, false))],
            DeviceCaseKind.Steered =>
            [
                Side(SideNames.Plain, plain, cache => check.Output(cache, false)),
                Side(SideNames.Steered, [tensors.Steered()], cache => Math.Max(check.Output(cache, true), check.Scores())),
                Side(SideNames.Scores, [tensors.Scores()], _ => check.Scores()),
            ],
            DeviceCaseKind.Decode => [Side(SideNames.Decode, plain, cache => check.Output(cache, false))],
            // Attention alone reads what the other has put there.
            _ =>
            [
                Side(SideNames.Append, [.. Enumerable.Range(0, tensors.Caches).Select(tensors.Append)], cache => check.Output(cache, false)),
                Side(c.Rows < c.Keys ? SideNames.Decode : SideNames.Plain, plain, cache => check.Output(cache, false)),
            ],
        };

        OwnSide Side(string name, CudaCall[] calls, Func<int, double> verify) => new(name, _device, calls, verify, _budget.HostCalls);
    }

    private DeviceSideResult Result(
        in DeviceCase c, DeviceSide side, double error, int calls, IReadOnlyList<double> samples, IReadOnlyList<double>? first, IReadOnlyList<KernelShare>? kernels)
    {
        double median = Statistics.Median(samples);
        bool isSteps = side.Name is SideNames.Decode or SideNames.TorchDecode, isScores = side.Name is SideNames.Scores or SideNames.TorchScores;
        double? bytes = isSteps ? c.CacheBytes / median / 1e6 : null;
        return new DeviceSideResult(
            side.Name,
            DeviceSideStatus.Measured,
            null,
            side.Backend,
            error,
            Spread.Of(samples),
            c.Rows == 1 || isScores ? null : c.Operations / median / 1e9,
            bytes,
            bytes / _device.Description.CopyGigaBytes,
            bytes / _device.Description.DataSheetGigaBytes,
            side.HostMicroseconds,
            first == null ? null : Spread.OfRatio(samples, first),
            calls,
            samples,
            kernels);
    }

    /// <summary>Does something with a side; what goes wrong is the side's result, and others go on.</summary>
    private void Try(DeviceSide side, Dictionary<DeviceSide, DeviceSideResult> failures, Action action)
    {
        if (_stopped != null && side.IsOwn)
        {
            failures[side] = new DeviceSideResult(side.Name, DeviceSideStatus.Failed, _stopped);
            return;
        }
        try
        {
            action();
        }
        catch (BenchException e)
        {
            failures[side] = new DeviceSideResult(side.Name, side.IsOwn ? DeviceSideStatus.Wrong : DeviceSideStatus.Failed, e.Message, side.Backend);
        }
        catch (Exception e) when (e is CudaException or NotSupportedException)
        {
            NoteLoss(e);
            failures[side] = new DeviceSideResult(side.Name, DeviceSideStatus.Failed, e.Message);
        }
    }

    /// <summary>After a kernel has failed, nothing works any more in the device's context.</summary>
    private void NoteLoss(Exception reason)
    {
        try
        {
            _device.Driver.Synchronize(_device.Stream);
        }
        catch (CudaException)
        {
            _stopped ??= $"the device does not work any more after: {reason.Message}";
        }
    }
}
