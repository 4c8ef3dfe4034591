namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Loads, stores, asynchronous copies and atomic operations.</summary>
public sealed class PtxMemoryTests
{
    private static readonly uint[] Input = [.. Enumerable.Range(0, 4 * 64).Select(i => (uint)i * 0x9e37_79b9u)];

    [Theory]
    [InlineData("ld.global.s8 %r8, [%rd2+3];", 3, 1, true)]
    [InlineData("ld.global.u8 %r8, [%rd2+1];", 1, 1, false)]
    [InlineData("ld.global.s16 %r8, [%rd2+6];", 6, 2, true)]
    [InlineData("ld.global.b16 %h1, [%rd2+6]; cvt.u32.u16 %r8, %h1;", 6, 2, false)]
    [InlineData("ld.global.nc.u32 %r8, [%rd2+8];", 8, 4, false)]
    [InlineData("ld.u32 %r8, [%rd2+12];", 12, 4, false)]
    [InlineData("ld.global.v2.u32 {_, %r8}, [%rd2+8];", 12, 4, false)]
    [InlineData("ld.global.v4.u32 {%r4, %r5, %r8, %r7}, [%rd2];", 8, 4, false)]
    [InlineData("ld.global.v2.b16 {%h1, %h2}, [%rd2+4]; cvt.u32.u16 %r8, %h2;", 6, 2, false)]
    [InlineData("ld.global.b64 %rd8, [%rd2+8]; shr.u64 %rd8, %rd8, 32; cvt.u32.u64 %r8, %rd8;", 12, 4, false)]
    [InlineData("ld.global.L1::no_allocate.L2::128B.u32 %r8, [%rd2];", 0, 4, false)]
    [InlineData("cvta.to.global.u64 %rd8, %rd2; ld.global.u32 %r8, [%rd8];", 0, 4, false)]
    [InlineData("ld.global.u32 %r7, [%rd2]; mov.u64 %rd8, buffer; cvta.shared.u64 %rd9, %rd8; mul.wide.u32 %rd10, %r0, 4; add.s64 %rd9, %rd9, %rd10; st.u32 [%rd9], %r7; ld.u32 %r8, [%rd9];", 0, 4, false)]
    [InlineData("ld.global.u32 %r7, [%rd2]; st.local.u32 [slot+4], %r7; mov.u64 %rd8, slot; ld.local.u32 %r8, [%rd8+4];", 0, 4, false)]
    [InlineData("ld.global.v2.u32 {%r6, %r7}, [%rd2]; mul.lo.u32 %r3, %r0, 8; st.shared.v2.u32 [%r3], {%r6, %r7}; ld.shared.u32 %r8, [%r3+4];", 4, 4, false)]
    [InlineData("ld.global.u32 %r7, [%rd2]; mul.lo.u32 %r3, %r0, 8; st.shared.b8 [%r3], %r7; ld.shared.s8 %r8, [%r3];", 0, 1, true)]
    [InlineData("ld.global.u32 %r7, [%rd2]; mul.lo.u32 %r3, %r0, 8; st.volatile.shared.b32 [%r3], %r7; ld.volatile.shared.b32 %r8, [%r3];", 0, 4, false)]
    public void Loads_And_Stores_Move_The_Bytes_That_They_Name(string body, int offset, int size, bool signed)
    {
        uint[] result = new PtxProgram(body + "\nst.global.b32 [%rd3], %r8;", ".shared .align 16 .b8 buffer[512];\n.local .align 4 .b8 slot[8];").Run32(Input);
        for (int lane = 0; lane < 32; lane++)
        {
            uint word = Input[(4 * lane) + (offset / 4)] >> (8 * (offset % 4));
            uint expected = (size, signed) switch { (1, true) => (uint)(sbyte)word, (1, false) => (byte)word, (2, true) => (uint)(short)word, (2, false) => (ushort)word, _ => word };
            Assert.Equal(expected, result[lane]);
        }
    }

    [Fact]
    public void Parameters_Arrive_At_Their_Offsets()
    {
        PtxModule module = PtxModule.Parse("""
            .version 7.8
            .target sm_80
            .visible .entry P(.param .b8 a, .param .b16 b, .param .b64 c, .param .align 8 .b8 d[12], .param .f32 e)
            .maxntid 32, 1, 1
            {
                ret;
            }
            """);
        Assert.Equal(
            [new("a", "b8", 0, 1), new("b", "b16", 2, 2), new("c", "b64", 8, 8), new("d", "b8", 16, 12), new("e", "f32", 28, 4)],
            module["P"].Parameters);
        Assert.Equal(32, module["P"].ParameterBytes);
        Assert.Equal(32, module["P"].MaxThreads);
        uint[] result = new PtxProgram("ld.param.u32 %r8, [n];\nst.global.b32 [%rd3], %r8;").Run32(Input);
        Assert.All(result, value => Assert.Equal((uint)Input.Length, value));
    }

    [Theory]
    [InlineData("ca", 4, "4")]
    [InlineData("ca", 8, "8")]
    [InlineData("cg", 16, "16")]
    [InlineData("cg", 6, "16, %r7")]
    [InlineData("cg", 0, "16, %r7")]
    [InlineData("ca", 16, "16")]
    public void Asynchronous_Copies_Bring_Their_Bytes_And_Zeros(string cache, int bytes, string size)
    {
        ulong[] result = new PtxProgram($"""
            mov.u32 %r7, {bytes};
            mov.u32 %r3, smem;
            shl.b32 %r4, %r0, 4;
            add.u32 %r3, %r3, %r4;
            st.shared.v4.u32 [%r3], {"{-1, -1, -1, -1}"};
            cp.async.{cache}.shared.global [%r3], [%rd2], {size};
            cp.async.commit_group;
            cp.async.wait_group 0;
            bar.sync 0;
            ld.shared.b64 %rd8, [%r3];
            ld.shared.b64 %rd9, [%r3+8];
            xor.b64 %rd9, %rd9, -1;
            add.s64 %rd8, %rd8, %rd9;
            st.global.b64 [%rd3], %rd8;
            """, ".shared .align 16 .b8 smem[1024];") { Threads = 64 }.Run(Input);
        int copied = size[..1] == "1" ? 16 : bytes;
        for (int t = 0; t < 64; t++)
        {
            byte[] expected = [.. Enumerable.Repeat((byte)255, 16)];
            expected.AsSpan(0, copied).Clear();
            System.Runtime.InteropServices.MemoryMarshal.AsBytes(Input.AsSpan(4 * t, 4))[..bytes].CopyTo(expected);
            Assert.Equal(BitConverter.ToUInt64(expected) + ~BitConverter.ToUInt64(expected, 8), result[t]);
        }
    }

    [Fact]
    public void Groups_Arrive_In_Order_And_Later_Ones_May_Stay_In_Flight()
    {
        uint[] result = new PtxProgram("""
            shl.b32 %r4, %r0, 2;
            mul.wide.u32 %rd8, %r0, 4;
            add.s64 %rd8, %rd8, %rd0;
            cp.async.ca.shared.global [%r4], [%rd8], 4;
            cp.async.commit_group;
            cp.async.ca.shared.global [%r4+128], [%rd8+128], 4;
            cp.async.commit_group;
            cp.async.wait_group 1;
            ld.shared.u32 %r5, [%r4];
            cp.async.wait_all;
            bar.warp.sync 0xffffffff;
            xor.b32 %r4, %r4, 4;
            ld.shared.u32 %r6, [%r4+128];
            xor.b32 %r5, %r5, %r6;
            st.global.b32 [%rd3], %r5;
            """, ".shared .align 16 .b8 smem[256];").Run32(Input);
        Assert.Equal(Enumerable.Range(0, 32).Select(l => Input[l] ^ Input[32 + (l ^ 1)]), result);
    }

    [Fact]
    public void Dynamic_Shared_Memory_Lies_Behind_The_Static_One()
    {
        uint[] result = new PtxProgram("""
            mov.u32 %r3, dyn;
            mov.u32 %r4, first;
            mad.lo.u32 %r5, %r3, 1000, %r4;
            mov.u32 %r6, %dynamic_smem_size;
            mad.lo.u32 %r5, %r6, 100000, %r5;
            st.global.b32 [%rd3], %r5;
            """, module: ".shared .align 4 .b8 first[20];\n.extern .shared .align 16 .b8 dyn[];") { DynamicSharedBytes = 64 }.Run32([]);
        Assert.All(result, value => Assert.Equal(6_432_000u, value));
    }

    [Theory]
    [InlineData("atom.global.add.u32 %r8, [%rd1], 3;", 96u)]
    [InlineData("red.global.add.u32 [%rd1], 3;", 96u)]
    [InlineData("red.global.max.s32 [%rd1], %r0;", 31u)]
    [InlineData("add.u32 %r9, %r0, 5; atom.global.exch.b32 %r8, [%rd1], %r9;", 36u)]
    [InlineData("red.global.or.b32 [%rd1], %r0;", 31u)]
    [InlineData("atom.global.inc.u32 %r8, [%rd1], 9;", 2u)]
    [InlineData("atom.global.cas.b32 %r8, [%rd1], 0, 77;", 77u)]
    [InlineData("red.global.add.f32 [%rd1], 0f3F800000;", 0x4200_0000u)]
    [InlineData("atom.shared.add.u32 %r8, [counter], 2; bar.sync 0; ld.shared.u32 %r8, [counter]; @%p7 st.global.b32 [%rd1], %r8;", 64u)]
    public void Atomic_Operations_See_Each_Other(string body, uint expected)
    {
        uint[] result = new PtxProgram($"""
            setp.eq.u32 %p7, %r0, 0;
            @%p7 st.global.b32 [%rd1], 0;
            @%p7 st.shared.b32 [counter], 0;
            bar.sync 0;
            {body}
            """, ".shared .align 4 .b8 counter[4];").Run32([]);
        Assert.Equal(expected, result[0]);
    }
}
