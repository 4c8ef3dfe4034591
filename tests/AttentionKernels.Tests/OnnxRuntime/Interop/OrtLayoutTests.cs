using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Interop;

/// <summary>Native layouts, against the numbers of the C header.</summary>
public sealed unsafe class OrtLayoutTests
{
    [Fact]
    public void A_Custom_Op_Has_The_Native_Layout()
    {
        Assert.Equal(208, sizeof(OrtCustomOp));
        Assert.Equal(16, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.GetName)));
        Assert.Equal(24, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.GetExecutionProviderType)));
        Assert.Equal(32, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.GetInputType)));
        Assert.Equal(72, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.KernelDestroy)));
        Assert.Equal(80, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.GetInputCharacteristic)));
        Assert.Equal(96, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.GetInputMemoryType)));
        Assert.Equal(136, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.CreateKernelV2)));
        Assert.Equal(144, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.KernelComputeV2)));
        Assert.Equal(152, (int)Marshal.OffsetOf<OrtCustomOp>(nameof(OrtCustomOp.InferOutputShapeFn)));
    }

    [Fact]
    public void The_Table_Ends_Inside_Api_18() => Assert.True(sizeof(OrtApiTable) <= 279 * sizeof(void*));
}
