using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>What the emulator counts in kernels of many rows.</summary>
public sealed class PrefillKernelCostTests
{
    [Theory]
    [MemberData(nameof(PrefillKernelTests.Configurations), MemberType = typeof(PrefillKernelTests))]
    public void A_Tile_Costs_The_Products_It_Needs_And_No_Bank_Conflict(ElementType type, int size)
    {
        // 128 rows, 128 keys: four warps, four tiles, in each 2 x 4 fragments of logits from size / 16 steps, and 2 x size / 8 of the output from two.
        CaseSpec spec = new() { Type = type, D = size, Dv = size, S = 128, T = 128, Seed = 8 };
        using AttentionCase c = new(spec, nameof(A_Tile_Costs_The_Products_It_Needs_And_No_Bank_Conflict));
        using KernelCase kernel = new(c);
        PrefillLaunch.Run(c, kernel, "PrefillPlain", null, 0, 0);
        Assert.Equal(4 * 4 * ((2 * 4 * size / 16) + (2 * (size / 8) * 2)), kernel.Kernels.Counts.Mma);
        Assert.Equal(3 * 128 * size * 2, kernel.Kernels.Counts.GlobalBytesRead);
        Assert.Equal(128 * size * 2, kernel.Kernels.Counts.GlobalBytesWritten);
        Assert.Equal(kernel.Kernels.Counts.GlobalBytesRead / 32, kernel.Kernels.Counts.GlobalSectorsRead);
        Assert.Equal(0, kernel.Kernels.Counts.BankConflicts);
    }
}
