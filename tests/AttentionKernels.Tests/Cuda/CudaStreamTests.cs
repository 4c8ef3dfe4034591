using AttentionKernels.Cuda;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>Graphs, streams and calls that follow one another without a wait, through a driver: a device's, or the stub's with the emulator behind it.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaStreamTests : IDisposable
{
    private readonly StubDriver _stub;
    private readonly DriverTarget _target;

    public CudaStreamTests(StubDriver stub)
    {
        _stub = stub;
        _target = DriverTarget.Open(stub);
    }

    public void Dispose()
    {
        if (TestDevice.Ordinal == null)
        {
            _stub.Reset();
        }
    }

    /// <summary>A captured decode step reads lengths on the device: run again, it follows them as they grow, with the bits of a step that is not captured.</summary>
    [Theory]
    [InlineData(ElementType.Float16, 64)]
    [InlineData(ElementType.BFloat16, 128)]
    public void A_Captured_Decode_Step_Follows_Lengths_That_Grow(ElementType type, int size)
    {
        CaseSpec spec = new() { B = 2, Kv = 2, Group = 3, T = TestDevice.Size(1000, 200), D = size, Dv = size, Type = type, Causal = true, Lengths = true, Seed = 7 };
        using AttentionCase c = new(spec, nameof(A_Captured_Decode_Step_Follows_Lengths_That_Grow));
        using DriverDevice device = new(_target);
        using CudaContext.Use use = _target.Context.Enter();
        using DeviceMirror mirror = device.Mirror(c);
        CudaCall step = device.Prepare(new CudaCall { Problem = c.Problem }, mirror, out nuint bytes, out void* scratch);
        _target.Api.Synchronize(device.Stream);
        _target.Api.BeginCapture(device.Stream);
        device.Put(step, scratch, bytes);
        (nint, nint) graph = _target.Api.EndCapture(device.Stream);
        try
        {
            foreach (int length in new[] { 1, 2, spec.T / 2, spec.T - 1, spec.T })
            {
                for (int b = 0; b < spec.B; b++)
                {
                    c.Problem.KeyLengths[b] = Math.Max(1, length - b);
                    c.Problem.QueryOffsets[b] = c.Problem.KeyLengths[b] - 1;
                }
                float[] captured = Run(() => _target.Api.LaunchGraph(graph.Item1, device.Stream));
                CudaTolerance.Check(c);
                Assert.Equal(captured, Run(() => device.Put(step, scratch, bytes)));
            }
        }
        finally
        {
            _target.Api.DestroyGraph(graph);
        }

        float[] Run(Action put)
        {
            c.ClearResults();
            mirror.Upload();
            put();
            mirror.Download(c.Repro);
            return c.Output();
        }
    }

    [Fact]
    public void A_Steered_Call_Refuses_To_Be_Captured()
    {
        using AttentionCase c = Steered(1);
        using DriverDevice device = new(_target);
        using CudaContext.Use use = _target.Context.Enter();
        using DeviceMirror mirror = device.Mirror(c);
        CudaCall call = device.Prepare(TestDevice.CallOf(c.Problem, c.Bias), mirror, out nuint bytes, out void* scratch);
        _target.Api.Synchronize(device.Stream);
        _target.Api.BeginCapture(device.Stream);
        NotSupportedException e = Assert.Throws<NotSupportedException>(() => device.Put(call, scratch, bytes));
        _target.Api.DestroyGraph(_target.Api.EndCapture(device.Stream));
        Assert.Contains("cannot be captured into a CUDA graph", e.Message, StringComparison.Ordinal);
    }

    /// <summary>Eight steered calls are put into one stream before anybody waits: each keeps the plan that it uploaded while the next one's is prepared.</summary>
    [Fact]
    public void Calls_Are_Prepared_While_Uploads_Of_Earlier_Ones_Are_On_Their_Way() => Together(8, _ => 0);

    [Fact]
    public void Two_Streams_Work_At_The_Same_Time() => Together(6, n => n % 2);

    private void Together(int calls, Func<int, int> streamOf)
    {
        AttentionCase[] cases = [.. Enumerable.Range(0, calls).Select(Steered)];
        using DriverDevice first = new(_target), second = new(_target);
        using CudaContext.Use use = _target.Context.Enter();
        DeviceMirror[] mirrors = new DeviceMirror[calls];
        try
        {
            float[][] alone = [.. cases.Select(c =>
            {
                first.Run(c);
                CudaTolerance.Check(c);
                float[] output = c.Output();
                c.ClearResults();
                return output;
            })];
            CudaCall[] prepared = new CudaCall[calls];
            nint[] scratch = new nint[calls];
            nuint[] bytes = new nuint[calls];
            for (int n = 0; n < calls; n++)
            {
                DriverDevice device = streamOf(n) == 0 ? first : second;
                mirrors[n] = device.Mirror(cases[n]);
                prepared[n] = device.Prepare(TestDevice.CallOf(cases[n].Problem, cases[n].Bias), mirrors[n], out bytes[n], out void* memory);
                scratch[n] = (nint)memory;
            }
            for (int n = 0; n < calls; n++)
            {
                (streamOf(n) == 0 ? first : second).Put(prepared[n], (void*)scratch[n], bytes[n]);
            }
            for (int n = 0; n < calls; n++)
            {
                mirrors[n].Download(cases[n].Repro);
                Assert.Equal(alone[n], cases[n].Output());
            }
        }
        finally
        {
            Array.ForEach(mirrors, mirror => mirror?.Dispose());
            Array.ForEach(cases, c => c.Dispose());
        }
    }

    private static AttentionCase Steered(int n)
    {
        int length = TestDevice.Size(700, 70) + (8 * n);
        CaseSpec spec = new() { Group = 2, S = length, T = length, D = 64, Dv = 64, Type = ElementType.Float16, Causal = true, Roles = RoleMode.Self, Lambda = -1, Seed = 20 + n };
        return new AttentionCase(spec, nameof(CudaStreamTests));
    }
}
