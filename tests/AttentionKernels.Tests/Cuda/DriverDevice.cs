using AttentionKernels.Cuda;
using AttentionKernels.Tests.Support;
using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Tests.Cuda;

/// <summary>A device behind a driver: a call's memory is copied to it and back. A stream of its own; several may work at the same time.</summary>
internal sealed unsafe class DriverDevice : TestDevice
{
    private readonly DriverTarget _target;
    private readonly WorkStream* _stream;

    public DriverDevice(DriverTarget target)
    {
        _target = target;
        using CudaContext.Use use = target.Context.Enter();
        _stream = target.Api.CreateStream();
    }

    /// <summary>The stream of this object.</summary>
    public WorkStream* Stream => _stream;

    public override void Run(AttentionCase c, in CudaCall call, params (string Name, GuardedBuffer Buffer, bool IsResult)[] others)
    {
        using CudaContext.Use use = _target.Context.Enter();
        using DeviceMirror mirror = Mirror(c, others);
        CudaCall onDevice = Prepare(call, mirror, out nuint bytes, out void* scratch);
        try
        {
            Put(onDevice, scratch, bytes);
            mirror.Download(c.Repro);
        }
        catch (CudaException) when (_target.Processor?.TakeError() is { } error)
        {
            throw new InvalidOperationException($"{error.Message}; {c.Repro}", error);
        }
    }

    /// <summary>The memory of a case on the device, and copies of it in the stream. The context is current.</summary>
    public DeviceMirror Mirror(AttentionCase c, params (string Name, GuardedBuffer Buffer, bool IsResult)[] others)
    {
        DeviceMirror mirror = new(_target, _stream);
        foreach ((string name, GuardedBuffer buffer, bool isResult) in DeviceBuffers(c, others))
        {
            mirror.Add(name, buffer.Data, buffer.Bytes, isResult);
        }
        mirror.Upload();
        return mirror;
    }

    /// <summary>A call with the addresses of the device, and its scratch memory. The context is current.</summary>
    public CudaCall Prepare(in CudaCall call, DeviceMirror mirror, out nuint bytes, out void* scratch)
    {
        call.Validate();
        _target.Context.Load(AttentionCuda.KernelsFor(_target.Context.Kernels, call.Problem.Query.Type, 0));
        CudaCall onDevice = Translate(call, mirror);
        CudaQueue queue = new(_target.Context, _stream);
        bytes = AttentionCuda.ScratchBytes(ref queue, onDevice);
        queue.Dispose();
        scratch = mirror.AddScratch(Math.Max(1, (long)bytes));
        return onDevice;
    }

    /// <summary>Puts a prepared call into the stream.</summary>
    public void Put(in CudaCall onDevice, void* scratch, nuint bytes)
    {
        CudaQueue queue = new(_target.Context, _stream);
        try
        {
            AttentionCuda.Run(ref queue, onDevice, scratch, bytes);
        }
        finally
        {
            queue.Dispose();
        }
    }

    public override void Dispose()
    {
        using CudaContext.Use use = _target.Context.Enter();
        _target.Api.DestroyStream(_stream);
    }

    // Roles and what has Host in its name stay where they are.
    private static CudaCall Translate(CudaCall call, DeviceMirror mirror)
    {
        ref AttentionProblem problem = ref call.Problem;
        problem.Query = mirror.Translate(problem.Query);
        problem.Key = mirror.Translate(problem.Key);
        problem.Value = mirror.Translate(problem.Value);
        problem.Output = mirror.Translate(problem.Output);
        problem.Bias = mirror.Translate(problem.Bias);
        problem.HeadSink = (float*)mirror.Translate(problem.HeadSink);
        problem.KeyLengths = (int*)mirror.Translate(problem.KeyLengths);
        problem.QueryOffsets = (int*)mirror.Translate(problem.QueryOffsets);
        call.Bias.HeadScoresIn = (float*)mirror.Translate(call.Bias.HeadScoresIn);
        call.Bias.HeadScores = (float*)mirror.Translate(call.Bias.HeadScores);
        call.Bias.Alignment = (float*)mirror.Translate(call.Bias.Alignment);
        call.Bias.SpeakerScores = (float*)mirror.Translate(call.Bias.SpeakerScores);
        ref CudaAppend append = ref call.Append;
        append.Query = mirror.Translate(append.Query);
        append.Key = mirror.Translate(append.Key);
        append.Value = mirror.Translate(append.Value);
        append.PastKey = mirror.Translate(append.PastKey);
        append.PastValue = mirror.Translate(append.PastValue);
        append.PresentKey = mirror.Translate(append.PresentKey);
        append.PresentValue = mirror.Translate(append.PresentValue);
        append.MovedQuery = mirror.Translate(append.MovedQuery);
        append.QueryBias = mirror.Translate(append.QueryBias);
        append.KeyBias = mirror.Translate(append.KeyBias);
        append.ValueBias = mirror.Translate(append.ValueBias);
        append.NarrowSink = mirror.Translate(append.NarrowSink);
        append.CosCache = mirror.Translate(append.CosCache);
        append.SinCache = mirror.Translate(append.SinCache);
        append.PositionIds = mirror.Translate(append.PositionIds);
        append.SeqlensK = (int*)mirror.Translate(append.SeqlensK);
        return call;
    }
}
