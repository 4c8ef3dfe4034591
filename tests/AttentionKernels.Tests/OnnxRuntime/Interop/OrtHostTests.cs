using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Interop;

/// <summary>The host: sessions, tensors, options.</summary>
public sealed unsafe class OrtHostTests
{
    private static OneNodeModel Identity(OnnxElementType type, params object?[] shape) => new()
    {
        Domain = "",
        Op = "Identity",
        NodeInputs = ["x"],
        NodeOutputs = ["y"],
        GraphInputs = [("x", type, shape)],
        GraphOutputs = [("y", type, shape)],
    };

    private static void Roundtrip<T>(OnnxElementType type, T[] data, params long[] shape)
        where T : unmanaged
    {
        using OrtSessionOptions options = new() { IntraOpThreads = 1 };
        using OrtSession session = new(Identity(type, [.. shape.Cast<object?>()]).ToBytes(), options);
        using OrtTensor x = OrtTensor.Over(data, shape);
        Dictionary<string, OrtTensor> feeds = new() { ["x"] = x };

        using OrtTensor y = session.Run(feeds, "y")[0];
        Assert.Equal(type, y.ElementType);
        Assert.Equal(shape, y.Shape.ToArray());
        Assert.Equal(data, y.Span<T>().ToArray());

        using OrtTensor ready = OrtTensor.Zeros<T>(shape);
        session.Run(feeds, new Dictionary<string, OrtTensor> { ["y"] = ready });
        Assert.Equal(data, ready.Span<T>().ToArray());
        Assert.Equal(0, (nint)ready.Data % 64);
    }

    [Fact]
    public void Every_Element_Type_Goes_Through_A_Session()
    {
        Roundtrip(OnnxElementType.Float, [1.5f, float.NaN, -0f], 3);
        Roundtrip(OnnxElementType.Float16, [(Half)1.5, Half.NaN], 2, 1);
        Roundtrip(OnnxElementType.UInt8, new byte[] { 0, 255 }, 1, 2);
        Roundtrip(OnnxElementType.Int32, [int.MinValue, int.MaxValue], 2);
        Roundtrip(OnnxElementType.Int64, [long.MinValue], 1);
        Roundtrip(OnnxElementType.Bool, [true, false], 2);
        Roundtrip(OnnxElementType.Float, [7f]); // a scalar
        Roundtrip(OnnxElementType.Float, Array.Empty<float>(), 2, 0);
    }

    [Fact]
    public void A_Session_Describes_Its_Inputs_And_Outputs()
    {
        using OrtSessionOptions options = new();
        using OrtSession session = new(Identity(OnnxElementType.Float16, "batch", 4L, null).ToBytes(), options);
        Assert.Equal("x", Assert.Single(session.Inputs).Name);
        Assert.Equal("Float16 [batch,4,?]", session.Inputs[0].Type!.ToString());
        Assert.Equal("y", Assert.Single(session.Outputs).Name);
        Assert.Equal("Float16 [batch,4,?]", session.Outputs[0].Type!.ToString());
    }

    [Fact]
    public void A_Model_File_Is_Loaded_And_Its_Optimised_Graph_Written()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("attention-kernels-ü-");
        try
        {
            string model = Path.Combine(folder.FullName, "möbius.onnx");
            string optimized = Path.Combine(folder.FullName, "optimized.onnx");
            File.WriteAllBytes(model, Identity(OnnxElementType.Int32, 1L).ToBytes());
            using OrtSessionOptions options = new() { OptimizedModelPath = optimized, Optimization = OrtGraphOptimization.None, LogSeverity = OrtLogSeverity.Error };
            options.AddConfigEntry("session.intra_op.allow_spinning", "0");
            using OrtSession session = new(model, options);
            Assert.Single(session.Outputs);
            Assert.NotEqual(0, new FileInfo(optimized).Length);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void A_Missing_Or_Broken_Model_Is_An_Error()
    {
        using OrtSessionOptions options = new();
        Assert.Equal(OrtErrorCode.NoSuchFile, Assert.Throws<OrtException>(() => new OrtSession("no-such-file.onnx", options)).Code);
        Assert.Equal(OrtErrorCode.InvalidProtobuf, Assert.Throws<OrtException>(() => new OrtSession("garbage"u8.ToArray(), options)).Code);
    }

    [Fact]
    public void An_Unknown_Name_Lists_The_Known_Ones()
    {
        using OrtSessionOptions options = new();
        using OrtSession session = new(Identity(OnnxElementType.Int32, 1L).ToBytes(), options);
        using OrtTensor x = OrtTensor.Over([1], 1);
        Assert.Contains("no input 'z'; it has x", Assert.Throws<ArgumentException>(() => session.Run(new Dictionary<string, OrtTensor> { ["z"] = x }, "y")).Message, StringComparison.Ordinal);
        Assert.Contains("no output 'z'; it has y", Assert.Throws<ArgumentException>(() => session.Run(new Dictionary<string, OrtTensor> { ["x"] = x }, "z")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Tensor_Must_Fit_Its_Shape_And_Type()
    {
        Assert.Throws<ArgumentException>(() => OrtTensor.Over(new float[5], 2, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => OrtTensor.Over(new float[6], -2, -3));
        Assert.Throws<OverflowException>(() => OrtTensor.Zeros<float>(long.MaxValue, 2));
        Assert.Throws<NotSupportedException>(() => OrtTensor.Zeros<decimal>(1));
        using OrtTensor tensor = OrtTensor.Zeros<float>(2, 3);
        Assert.Throws<InvalidOperationException>(() => tensor.Span<int>());
    }

    [Fact]
    public void A_Disposed_Object_Is_Refused()
    {
        OrtSessionOptions options = new();
        OrtSession session = new(Identity(OnnxElementType.Int32, 1L).ToBytes(), options);
        OrtTensor x = OrtTensor.Over([1], 1);
        Dictionary<string, OrtTensor> feeds = new() { ["x"] = x };
        x.Dispose();
        x.Dispose();
        Assert.Throws<ObjectDisposedException>(() => x.Span<int>());
        Assert.Throws<ObjectDisposedException>(() => session.Run(feeds, "y"));
        session.Dispose();
        session.Dispose();
        Assert.Throws<ObjectDisposedException>(() => session.Run(new Dictionary<string, OrtTensor>(), "y"));
        options.Dispose();
        Assert.Throws<ObjectDisposedException>(() => options.IntraOpThreads = 1);
        Assert.Throws<ObjectDisposedException>(() => new OrtSession(Array.Empty<byte>(), options));
    }

    [Fact]
    public void What_A_Run_Uses_Outlives_Dispose()
    {
        using ManualResetEventSlim running = new();
        using ManualResetEventSlim proceed = new();
        ScaleAddOp op = new()
        {
            OnCompute = () =>
            {
                running.Set();
                proceed.Wait();
            },
        };
        OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x"], ["y"]), op);
        OrtTensor x = OrtTensor.Zeros<float>(1, 3);
        OrtTensor y = OrtTensor.Zeros<float>(1, 3);
        x.Span<float>().Fill(5);
        float[] seen = [];
        Exception? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                OrtTensor[] results = session.Run(new Dictionary<string, OrtTensor> { ["x"] = x }, "y");
                seen = results[0].Span<float>().ToArray();
                results[0].Dispose();
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        thread.Start();
        running.Wait();
        session.Dispose();
        x.Dispose();
        y.Dispose();
        proceed.Set();
        thread.Join();
        Assert.Null(failure);
        Assert.Equal([5f, 5f, 5f], seen);
    }

    [Fact]
    public void A_Pinned_Array_Stays_Put_While_The_Heap_Is_Compacted()
    {
        float[] data = new float[3000];
        using OrtTensor tensor = OrtTensor.Over(data, 1000, 3);
        void* before = tensor.Data;
        for (int i = 0; i < 3; i++)
        {
            _ = new byte[100_000];
            GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
        }
        data[2999] = 8;
        Assert.Equal(8, tensor.Span<float>()[2999]);
        fixed (float* now = data)
        {
            Assert.True(before == now);
        }
    }
}
