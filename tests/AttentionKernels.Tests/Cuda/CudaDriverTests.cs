using AttentionKernels.Cuda;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The driver's functions, their errors, and what is loaded into a context.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaDriverTests : IDisposable
{
    private const int LaunchFailed = 719;

    private readonly StubDriver _stub;
    private readonly CudaDriver _driver;
    private readonly KernelManifest _kernels = KernelManifest.Embedded;

    public CudaDriverTests(StubDriver stub)
    {
        _stub = stub;
        _stub.Reset();
        _driver = new CudaDriver(stub.Path);
    }

    public void Dispose() => Assert.Equal(0, _stub.Depth);

    private KernelEntry Combine => _kernels.Find("DecodeCombine", ElementType.Float16, 0)!;

    [Fact]
    public void A_Missing_Driver_Is_Named_With_The_Remedy()
    {
        CudaException e = Assert.Throws<CudaException>(() => new CudaDriver("/nowhere/libcuda.so.1"));
        Assert.Equal(
            "no CUDA driver (/nowhere/libcuda.so.1) on this machine: install NVIDIA's driver, or set ATTENTION_KERNELS_CUDA_DRIVER to the path of its library; "
            + "the CPU engine works without it",
            e.Message);
    }

    [Fact]
    public void A_Library_That_Is_No_Driver_Is_Named()
    {
        CudaException e = Assert.Throws<CudaException>(() => new CudaDriver("libm.so.6"));
        Assert.StartsWith("the CUDA driver (libm.so.6) is too old or none at all: ", e.Message, StringComparison.Ordinal);
        Assert.Contains("cuInit", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_Old_Device_And_A_Missing_One_Are_Refused()
    {
        _stub.Set("capability", 7);
        Assert.Equal("CUDA device 1 has compute capability 7.0, expected 8.0 or higher", Assert.Throws<CudaException>(() => new CudaContext(_driver, 1, _kernels)).Message);
        CudaException e = Assert.Throws<CudaException>(() => new CudaContext(_driver, 7, _kernels));
        Assert.Equal("cuDeviceGet failed with CUDA_ERROR_INVALID_DEVICE (101): some description", e.Message);
        Assert.Equal(101, e.Code);
    }

    /// <summary>Every call that is made while kernels are loaded and a call runs, made to fail once.</summary>
    [Fact]
    public void Every_Error_Names_The_Call_And_Leaves_No_Context_Behind()
    {
        _stub.Reset();
        Work();
        string[] calls = _stub.CallNames;
        Assert.Equal(
            [
                "cuCtxPopCurrent", "cuCtxPushCurrent", "cuDeviceGet", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain", "cuEventCreate", "cuEventQuery", "cuEventRecord",
                "cuFuncSetAttribute", "cuInit", "cuLaunchKernel", "cuMemHostAlloc", "cuMemcpyHtoDAsync", "cuMemsetD8Async", "cuModuleGetFunction", "cuModuleLoadDataEx", "cuStreamIsCapturing",
                "cuThreadExchangeStreamCaptureMode",
            ],
            calls.Distinct().Order(StringComparer.Ordinal));
        for (int i = 0; i < calls.Length; i++)
        {
            _stub.Reset();
            _stub.Fail("", i + 1, LaunchFailed);
            CudaException e = Assert.Throws<CudaException>(Work);
            Assert.StartsWith(calls[i], e.Message, StringComparison.Ordinal);
            Assert.Contains(" failed with CUDA_ERROR_LAUNCH_FAILED (719): unspecified launch failure", e.Message, StringComparison.Ordinal);
            // A context that could not be popped stays, and so does a mode.
            Assert.Equal(calls[i] == "cuCtxPopCurrent" ? 1 : 0, _stub.Depth);
            Assert.True(_stub.CaptureMode == 0 || calls[i] == "cuThreadExchangeStreamCaptureMode");
            _ = _driver.ExchangeCaptureMode(0);
            while (_stub.Depth > 0)
            {
                _driver.Pop();
            }
        }

        void Work()
        {
            CudaContext context = new(new CudaDriver(_stub.Path), 0, _kernels);
            context.Load(_kernels.Entries);
            for (int i = 0; i < 2; i++)
            {
                Call(context);
            }
        }
    }

    [Fact]
    public void What_The_Compiler_Says_Is_Told()
    {
        CudaContext context = new(_driver, 0, _kernels);
        _stub.Fail("cuModuleLoadDataEx", 1, 218);
        Assert.Equal(
            $"cuModuleLoadDataEx of {Combine.File} failed with CUDA_ERROR_INVALID_PTX (218): a PTX JIT compilation failed; the compiler said: ptxas application ptx input, line 7; error",
            Assert.Throws<CudaException>(() => context.Load([Combine])).Message);
    }

    [Fact]
    public void A_Driver_That_Is_Too_Old_For_The_Kernels_Is_Told_From_Other_Failures()
    {
        CudaContext context = new(_driver, 0, _kernels);
        _stub.Fail("cuModuleLoadDataEx", 1, 222);
        Assert.EndsWith("; the kernels need NVIDIA driver 520 or newer", Assert.Throws<CudaException>(() => context.Load([Combine])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_Error_Without_A_Name_Has_Its_Number()
    {
        CudaContext context = new(_driver, 0, _kernels);
        _stub.Fail("cuModuleGetFunction", 1, 4711);
        Assert.Equal(
            $"cuModuleGetFunction of {Combine.Name} failed with an error that the driver has no name for (4711): some description",
            Assert.Throws<CudaException>(() => context.Load([Combine])).Message);
    }

    [Fact]
    public void A_File_Is_Loaded_Once_Into_A_Context_Whoever_Asks()
    {
        CudaContext context = new(_driver, 0, _kernels), other = new(_driver, 1, _kernels);
        _stub.Reset();
        Parallel.For(0, 8, _ => context.Load(_kernels.Entries));
        int files = _kernels.Entries.DistinctBy(kernel => kernel.File).Count();
        Assert.Equal(files, _stub.CallNames.Count(name => name == "cuModuleLoadDataEx"));
        Assert.Equal(_kernels.Entries.Count, _stub.CallNames.Count(name => name == "cuModuleGetFunction"));
        Assert.Equal(_stub.CallNames.Count(name => name == "cuCtxPushCurrent"), _stub.CallNames.Count(name => name == "cuCtxPopCurrent"));
        other.Load([Combine]);
        Assert.Equal(files + 1, _stub.CallNames.Count(name => name == "cuModuleLoadDataEx"));
        Assert.Contains(_stub.Calls, call => call == "cuCtxPushCurrent 0xc0065");
    }

    [Fact]
    public void Kernels_With_More_Than_48_KiB_Of_Shared_Memory_Say_So_When_They_Are_Loaded()
    {
        new CudaContext(_driver, 0, _kernels).Load(_kernels.Entries);
        string[] expected = [.. _kernels.Entries.Where(kernel => kernel.DynamicSharedBytes > 49152).Select(kernel => $"cuFuncSetAttribute {kernel.Name} 8 {kernel.DynamicSharedBytes}")];
        Assert.NotEmpty(expected);
        Assert.Equal(expected.Order(StringComparer.Ordinal), _stub.Calls.Where(call => call.StartsWith("cuFuncSetAttribute", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    /// <summary>On compute capability 8.6, 8.9 and 12.0 a block has 99 KiB: too little for decoding with heads of 128, and enough for everything else.</summary>
    [Fact]
    public void Kernels_That_Do_Not_Fit_The_Device_Are_Not_There()
    {
        _stub.Set("shared_bytes", 99 << 10);
        CudaContext context = new(_driver, 0, _kernels);
        context.Load(_kernels.Entries.Where(kernel => context.Kernels.Entries.Contains(kernel)));
        Assert.Equal(["Decode_bf16_128", "Decode_f16_128"], _kernels.Entries.Except(context.Kernels.Entries).Select(kernel => kernel.Name).Order(StringComparer.Ordinal));
        Assert.Null(context.Kernels.Find("Decode", ElementType.Float16, 128));
        Assert.Same(Combine, context.Kernels.Find("DecodeCombine", ElementType.Float16, 0));
    }

    [Fact]
    public void A_Kernel_That_Was_Not_Loaded_Is_Not_Loaded_In_A_Run()
    {
        CudaContext context = new(_driver, 0, _kernels);
        Assert.Contains("was not loaded", Assert.Throws<InvalidOperationException>(() => Call(context)).Message, StringComparison.Ordinal);
    }

    /// <summary>Each value stands where the device code looks for it, whatever the order in which values are given.</summary>
    [Fact]
    public void Parameters_Are_Passed_By_Name()
    {
        CudaContext context = new(_driver, 0, _kernels);
        context.Load([Combine]);
        _stub.Reset();
        Call(context);
        Dictionary<KernelParameter, string> bytes = new()
        {
            [KernelParameter.PartialStats] = "8877665544332211",
            [KernelParameter.PartialOutputs] = "0000000000000080",
            [KernelParameter.Output] = "0100000000000000",
            [KernelParameter.OutputBatchStride] = "ffffffffffffffff",
            [KernelParameter.OutputHeadStride] = "0000010000000000",
            [KernelParameter.OutputTokenStride] = "0300000000000000",
            [KernelParameter.HeadSink] = "0000000000000000",
            [KernelParameter.Heads] = "1c000000",
            [KernelParameter.QueryLength] = "01000000",
            [KernelParameter.HeadSize] = "80000000",
            [KernelParameter.Splits] = "feffffff",
        };
        string expected = string.Join(' ', Combine.Parameters.Select(parameter => bytes[parameter]));
        Assert.Equal($"cuLaunchKernel {Combine.Name} grid 5,7,1 block {Combine.Threads},1,1 shared {Combine.DynamicSharedBytes} stream 0xabc: {expected}", _stub.Calls[1]);
    }

    [Fact]
    public void A_Value_That_Was_Not_Given_Is_Not_Launched()
    {
        CudaContext context = new(_driver, 0, _kernels);
        context.Load([Combine]);
        _stub.Reset();
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() =>
        {
            using CudaQueue queue = new(context, null);
            KernelArguments arguments = default;
            arguments.Set(KernelParameter.Heads, 1);
            queue.Launch(Combine, new Grid(1, 1), ref arguments);
        });
        Assert.Contains("Splits", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Heads,", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("cuLaunchKernel", _stub.CallNames);
    }

    [Fact]
    public void An_Upload_Holds_What_Was_Staged_And_Its_Memory_Waits_Until_It_Was_Read()
    {
        CudaContext context = new(_driver, 0, _kernels);
        byte[] device = new byte[5];
        fixed (byte* target = device)
        {
            nint first = Upload(target, 1), second = Upload(target, 2);
            Assert.Equal([2, 2, 2, 2, 2], device);
            Assert.Equal(first, second);
            _stub.Set("events_come", 0);
            Assert.NotEqual(first, Upload(target, 3));
        }
        Assert.Equal(2, _stub.CallNames.Count(name => name == "cuMemHostAlloc"));

        nint Upload(byte* target, byte value)
        {
            CudaQueue queue = new(context, null);
            try
            {
                void* staged = queue.Stage(5);
                new Span<byte>(staged, 5).Fill(value);
                queue.Upload(target, staged, 5);
                return (nint)staged;
            }
            finally
            {
                queue.Dispose();
            }
        }
    }

    [Fact]
    public void An_Upload_Is_Refused_While_A_Graph_Is_Captured()
    {
        CudaContext context = new(_driver, 0, _kernels);
        _stub.Set("capturing", 1);
        NotSupportedException e = Assert.Throws<NotSupportedException>(() =>
        {
            CudaQueue queue = new(context, null);
            try
            {
                _ = queue.Stage(5);
            }
            finally
            {
                queue.Dispose();
            }
        });
        Assert.Contains("CUDA graph", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("cuMemHostAlloc", _stub.CallNames);
    }

    /// <summary>Another session, or other code of the process, captures: events are asked, memory is allocated and kernels are loaded without breaking it.</summary>
    [Fact]
    public void A_Graph_That_Somebody_Else_Captures_Disturbs_Nothing()
    {
        CudaContext context = new(_driver, 0, _kernels);
        _stub.Set("capturing", 2);
        context.Load([Combine]);
        byte* device = stackalloc byte[16];
        for (int i = 0; i < 2; i++)
        {
            Call(context);
            CudaQueue queue = new(context, null);
            using CudaDownload download = queue.Download(device, 16);
            queue.Dispose();
            float[] read = new float[4];
            download.Read(read);
        }
        Assert.Contains("cuEventQuery", _stub.CallNames);
        Assert.Contains("cuEventSynchronize", _stub.CallNames);
        Assert.Equal(0, _stub.CaptureMode);
    }

    /// <summary>An upload, a clearing and a launch with numbers of every kind.</summary>
    private void Call(CudaContext context)
    {
        byte* memory = stackalloc byte[16];
        CudaQueue queue = new(context, (void*)0xabc);
        try
        {
            KernelArguments arguments = default;
            arguments.Set(KernelParameter.Splits, -2);
            arguments.Set(KernelParameter.HeadSize, 128);
            arguments.Set(KernelParameter.QueryLength, 1);
            arguments.Set(KernelParameter.Heads, 28);
            arguments.Set(KernelParameter.HeadSink, (void*)null);
            arguments.Set(KernelParameter.OutputTokenStride, 3L);
            arguments.Set(KernelParameter.OutputHeadStride, 1L << 16);
            arguments.Set(KernelParameter.OutputBatchStride, -1L);
            arguments.Set(KernelParameter.Output, (void*)1);
            arguments.Set(KernelParameter.PartialOutputs, long.MinValue);
            arguments.Set(KernelParameter.PartialStats, 0x1122334455667788);
            arguments.Set(KernelParameter.Alpha, 1f); // not a parameter of this kernel
            queue.Launch(Combine, new Grid(5, 7), ref arguments);
            void* staged = queue.Stage(16);
            new Span<byte>(staged, 16).Fill(1);
            queue.Upload(memory, staged, 16);
            queue.Clear(memory, 16);
        }
        finally
        {
            queue.Dispose();
        }
    }
}
