using System.Numerics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Control flow of a warp, exchange between its lanes, barriers of a block.</summary>
public sealed class PtxWarpTests
{
    [Fact]
    public void Lanes_With_Different_Trip_Counts_Meet_Behind_The_Loop()
    {
        // sum of 0..lane-1; the shuffle behind the loop needs all lanes together.
        PtxProgram program = new("""
            mov.u32 %r3, 0;
            mov.u32 %r4, 0;
            loop:
            setp.ge.u32 %p1, %r3, %r0;
            @%p1 bra done;
            add.u32 %r4, %r4, %r3;
            add.u32 %r3, %r3, 1;
            bra.uni loop;
            done:
            shfl.sync.bfly.b32 %r5, %r4, 1, 0x1f, 0xffffffff;
            st.global.b32 [%rd3], %r5;
            """);
        uint[] result = program.Run32([]);
        Assert.Equal(Enumerable.Range(0, 32).Select(l => (uint)((l ^ 1) * ((l ^ 1) - 1) / 2)), result);
        Assert.Equal(31, program.Counts.DivergentBranches);
    }

    [Fact]
    public void Nested_Branches_Meet_At_Their_Own_Ends()
    {
        uint[] result = new PtxProgram("""
            and.b32 %r3, %r0, 1;
            and.b32 %r4, %r0, 2;
            setp.eq.u32 %p1, %r3, 0;
            setp.eq.u32 %p2, %r4, 0;
            mov.u32 %r5, 0;
            @%p1 bra even;
            @!%p2 bra odd2;
            add.u32 %r5, %r5, 1;
            bra oddEnd;
            odd2:
            add.u32 %r5, %r5, 10;
            oddEnd:
            activemask.b32 %r6;
            bra end;
            even:
            activemask.b32 %r6;
            @%p2 add.u32 %r5, %r5, 100;
            @!%p2 add.u32 %r5, %r5, 1000;
            end:
            activemask.b32 %r7;
            xor.b32 %r6, %r6, %r7;
            add.u32 %r5, %r5, %r6;
            st.global.b32 [%rd3], %r5;
            """).Run32([]);
        for (int lane = 0; lane < 32; lane++)
        {
            uint way = (lane & 3) switch { 0 => 100u, 1 => 1, 2 => 1000, _ => 10 };
            uint others = (lane & 1) == 0 ? 0xaaaa_aaaa : 0x5555_5555;
            Assert.Equal(way + others, result[lane]);
        }
    }

    [Fact]
    public void Lanes_That_Return_Early_Leave_The_Others_Alone()
    {
        ulong[] result = new PtxProgram("""
            setp.lt.u32 %p1, %r0, 5;
            @%p1 ret;
            setp.gt.u32 %p2, %r0, 20;
            @%p2 bra late;
            st.global.b64 [%rd3], 1;
            ret;
            late:
            st.global.b64 [%rd3], 2;
            """).Run([]);
        Assert.Equal(Enumerable.Range(0, 32).Select(l => l < 5 ? ulong.MaxValue : l > 20 ? 2ul : 1), result);
    }

    [Fact]
    public void Jump_Tables_Send_Every_Lane_To_Its_Target()
    {
        uint[] result = new PtxProgram("""
            rem.u32 %r3, %r0, 3;
            table: .branchtargets a, b, c;
            brx.idx %r3, table;
            a:
            mov.u32 %r4, 7;
            bra end;
            b:
            mov.u32 %r4, 8;
            bra end;
            c:
            mov.u32 %r4, 9;
            end:
            st.global.b32 [%rd3], %r4;
            """).Run32([]);
        Assert.Equal(Enumerable.Range(0, 32).Select(l => (uint)(7 + (l % 3))), result);
    }

    [Theory]
    [InlineData("bfly", 5, 0x1f)]
    [InlineData("up", 3, 0)]
    [InlineData("down", 9, 0x1f)]
    [InlineData("idx", 6, 0x1f)]
    [InlineData("down", 2, 0x181f)]
    [InlineData("idx", 3, 0x1c1f)]
    [InlineData("up", 1, 0x1800)]
    [InlineData("bfly", 4, 0x1803)]
    public void Shuffles_Read_The_Lane_That_The_Manual_Names(string mode, int distance, int clamp)
    {
        PtxProgram program = new($"""
            mul.lo.u32 %r3, %r0, 100;
            shfl.sync.{mode}.b32 %r4|%p1, %r3, {distance}, {clamp}, 0xffffffff;
            selp.b32 %r5, 10000, 0, %p1;
            add.u32 %r4, %r4, %r5;
            st.global.b32 [%rd3], %r4;
            """);
        uint[] result = program.Run32([]);
        int width = (clamp >> 8) switch { 0x18 => 8, 0x1c => 4, _ => 32 };
        for (int lane = 0; lane < 32; lane++)
        {
            int first = lane / width * width;
            int last = Math.Min(first + width - 1, first + (clamp & 31));
            int source = mode switch
            {
                "bfly" => lane ^ distance,
                "up" => lane - distance,
                "down" => lane + distance,
                _ => first + (distance % width),
            };
            bool inside = mode == "up" ? source >= first : source <= last;
            Assert.Equal((uint)(100 * (inside ? source : lane)) + (inside ? 10000u : 0), result[lane]);
        }
    }

    [Fact]
    public void Votes_Matches_And_Reductions_Cover_The_Warp()
    {
        uint[] result = new PtxProgram("""
            setp.lt.u32 %p1, %r0, 7;
            vote.sync.ballot.b32 %r3, %p1, 0xffffffff;
            vote.sync.any.pred %p2, %p1, 0xffffffff;
            vote.sync.all.pred %p3, %p1, 0xffffffff;
            vote.sync.uni.pred %p4, !%p1, 0xffffffff;
            selp.b32 %r4, 0x100, 0, %p2;
            add.u32 %r3, %r3, %r4;
            selp.b32 %r4, 0x200, 0, %p3;
            add.u32 %r3, %r3, %r4;
            selp.b32 %r4, 0x400, 0, %p4;
            add.u32 %r3, %r3, %r4;
            redux.sync.add.s32 %r5, %r0, 0xffffffff;
            redux.sync.max.u32 %r6, %r0, 0xffffffff;
            mad.lo.u32 %r3, %r5, 0x10000, %r3;
            and.b32 %r7, %r0, 3;
            match.any.sync.b32 %r8, %r7, 0xffffffff;
            popc.b32 %r8, %r8;
            add.u32 %r3, %r3, %r8;
            add.u32 %r3, %r3, %r6;
            st.global.b32 [%rd3], %r3;
            """).Run32([]);
        Assert.All(result, value => Assert.Equal(0x7fu + 0x100 + (496u << 16) + 8 + 31, value));
    }

    [Fact]
    public void Barrier_Reductions_Count_All_Warps()
    {
        uint[] result = new PtxProgram("""
            setp.lt.u32 %p1, %r0, 70;
            bar.red.popc.u32 %r3, 0, %p1;
            bar.red.and.pred %p2, 0, %p1;
            bar.red.or.pred %p3, 0, %p1;
            selp.b32 %r4, 1000, 0, %p2;
            selp.b32 %r5, 2000, 0, %p3;
            add.u32 %r3, %r3, %r4;
            add.u32 %r3, %r3, %r5;
            st.global.b32 [%rd3], %r3;
            """) { Threads = 96 }.Run32([]);
        Assert.All(result, value => Assert.Equal(2070u, value));
    }

    [Fact]
    public void Barriers_Order_Warps_And_Blocks_Have_Memory_Of_Their_Own()
    {
        PtxProgram program = new("""
            mov.u32 %r3, buffer;
            shl.b32 %r4, %r0, 2;
            add.u32 %r5, %r3, %r4;
            st.shared.u32 [%r5], %r2;
            bar.sync 0;
            xor.b32 %r4, %r4, 508;
            add.u32 %r5, %r3, %r4;
            ld.shared.u32 %r6, [%r5];
            st.global.b32 [%rd3], %r6;
            """, ".shared .align 4 .b8 buffer[512];") { Threads = 128, Grid = (6, 1, 1), Options = new PtxOptions { Workers = 2 } };
        uint[] result = program.Run32([]);
        Assert.Equal(Enumerable.Range(0, 768).Select(t => (uint)(t / 128 * 128) + (uint)(t % 128 ^ 127)), result);
        Assert.Equal(6, program.Counts.Barriers);
    }

    [Fact]
    public void Special_Registers_Describe_The_Launch()
    {
        uint[] result = new PtxProgram("""
            mov.u32 %r3, %nctaid.x;
            mov.u32 %r4, %ntid.x;
            mad.lo.u32 %r3, %r3, 1000, %r4;
            mov.u32 %r4, %warpid;
            mad.lo.u32 %r3, %r4, 100000, %r3;
            mov.u32 %r4, %tid.y;
            add.u32 %r3, %r3, %r4;
            mov.u32 %r4, %lanemask_lt;
            popc.b32 %r4, %r4;
            sub.u32 %r4, %r4, %laneid;
            add.u32 %r3, %r3, %r4;
            st.global.b32 [%rd3], %r3;
            """) { Threads = 64, Grid = (2, 1, 1) }.Run32([]);
        Assert.Equal(Enumerable.Range(0, 128).Select(t => 2064u + (uint)(t % 64 / 32 * 100000)), result);
    }

    [Fact]
    public void Results_And_Counts_Do_Not_Depend_On_The_Number_Of_Workers()
    {
        PtxProgram Program(int workers) => new("""
            mov.u32 %r3, %r2;
            mov.u32 %r4, 0;
            loop:
            and.b32 %r5, %r3, 1;
            setp.eq.u32 %p1, %r5, 0;
            @%p1 bra even;
            mad.lo.u32 %r3, %r3, 3, 1;
            bra next;
            even:
            shr.u32 %r3, %r3, 1;
            next:
            add.u32 %r4, %r4, 1;
            setp.gt.u32 %p2, %r3, 1;
            @%p2 bra loop;
            st.global.b32 [%rd3], %r4;
            """) { Threads = 96, Grid = (20, 1, 1), Options = new PtxOptions { Workers = workers } };
        PtxProgram one = Program(1);
        PtxProgram four = Program(4);
        uint[] expected = one.Run32([]);
        Assert.Equal(expected, four.Run32([]));
        Assert.Equal(one.Counts.ToString(), four.Counts.ToString());
        for (uint t = 2; t < expected.Length; t++)
        {
            uint steps = 0;
            for (uint x = t; x > 1; x = BitOperations.IsPow2(x) || x % 2 == 0 ? x / 2 : (3 * x) + 1)
            {
                steps++;
            }
            Assert.Equal(steps, expected[t]);
        }
    }
}
