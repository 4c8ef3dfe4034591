namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>The cost model on programs whose cost is known.</summary>
public sealed class PtxCountsTests
{
    private static readonly uint[] Input = new uint[32 * 32];

    [Theory]
    [InlineData(4, 4)]     // neighbours: 128 bytes
    [InlineData(8, 8)]
    [InlineData(32, 32)]
    [InlineData(64, 32)]
    [InlineData(0, 1)]
    public void Sectors_Tell_Coalesced_From_Scattered_Loads(int stride, int sectors)
    {
        PtxProgram program = new($"""
            mul.wide.u32 %rd8, %r0, {stride};
            add.s64 %rd8, %rd8, %rd0;
            ld.global.u32 %r4, [%rd8];
            """);
        program.Run(Input);
        Assert.Equal(128, program.Counts.GlobalBytesRead);
        Assert.Equal(sectors, program.Counts.GlobalSectorsRead);
        Assert.Equal(0, program.Counts.GlobalSectorsWritten);
    }

    [Theory]
    [InlineData("u32", 4, 1, 0)]      // one word per bank
    [InlineData("u32", 8, 2, 1)]
    [InlineData("u32", 128, 32, 31)]  // all in one bank
    [InlineData("u32", 132, 1, 0)]    // padded
    [InlineData("u32", 0, 1, 0)]      // broadcast
    [InlineData("u64", 8, 2, 0)]      // 256 bytes
    [InlineData("v4.u32", 16, 4, 0)]  // 512 bytes
    [InlineData("v4.u32", 144, 4, 0)]
    [InlineData("v4.u32", 128, 32, 28)]
    public void Wavefronts_Follow_From_The_Banks(string type, int stride, int wavefronts, int conflicts)
    {
        string registers = type switch { "u64" => "%rd8", "v4.u32" => "{%r4, %r5, %r6, %r7}", _ => "%r4" };
        PtxProgram program = new($$"""
            setp.ne.u32 %p1, %r0, 0;
            @%p1 bra skip;
            mov.u32 %r3, 0;
            fill:
            st.shared.v4.u32 [%r3], {0, 0, 0, 0};
            add.u32 %r3, %r3, 16;
            setp.lt.u32 %p2, %r3, 8192;
            @%p2 bra fill;
            skip:
            bar.warp.sync -1;
            mul.lo.u32 %r3, %r0, {{stride}};
            ld.shared.{{type}} {{registers}}, [%r3];
            """, ".shared .align 16 .b8 smem[8192];");
        program.Run([]);
        Assert.Equal(512 + wavefronts, program.Counts.SharedWavefronts);
        Assert.Equal(conflicts, program.Counts.BankConflicts);
    }

    [Theory]
    [InlineData(128, 28)]   // rows 128 bytes apart: the eight rows of a matrix share their banks, copies likewise
    [InlineData(144, 0)]
    public void Ldmatrix_And_Copies_Conflict_On_Unpadded_Rows(int pitch, int conflictsOfMatrix)
    {
        PtxProgram program = new($$"""
            mul.lo.u32 %r3, %r0, {{pitch}};
            cp.async.cg.shared.global [%r3], [%rd2], 16;
            cp.async.wait_all;
            bar.sync 0;
            ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r3];
            """, ".shared .align 16 .b8 smem[8192];");
        program.Run(Input);
        Assert.Equal(2 * conflictsOfMatrix, program.Counts.BankConflicts);
        Assert.Equal(8 + (2 * conflictsOfMatrix), program.Counts.SharedWavefronts);
        Assert.Equal(512, program.Counts.GlobalBytesRead);
        Assert.Equal(16, program.Counts.GlobalSectorsRead);
        Assert.Equal(1, program.Counts[PtxOpClass.LoadMatrix]);
        Assert.Equal(1, program.Counts[PtxOpClass.AsyncCopy]);
        Assert.Equal(1, program.Counts.Barriers);
    }

    [Fact]
    public void Instructions_Are_Counted_Per_Warp()
    {
        PtxProgram program = new("add.u32 %r4, %r0, 1;\nst.global.b32 [%rd3], %r4;") { Threads = 96, Grid = (2, 1, 1) };
        program.Run([]);
        // Beginning: 2 ld.param, 3 mov, 5 integer; then add, st, ret.
        Assert.Equal(6 * 13, program.Counts.WarpInstructions);
        Assert.Equal(6 * 5, program.Counts[PtxOpClass.Move]);
        Assert.Equal(6 * 6, program.Counts[PtxOpClass.Integer]);
        Assert.Equal(6, program.Counts[PtxOpClass.StoreGlobal]);
        Assert.Equal(6, program.Counts[PtxOpClass.Branch]);
        Assert.Equal(4 * 192, program.Counts.GlobalBytesWritten);
    }
}
