namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Every kind of error, with the line, block and thread that it names.</summary>
public sealed class PtxErrorTests
{
    private static readonly uint[] Input = [.. Enumerable.Range(0, (4 * 128) - 2).Select(i => (uint)i)];

    // What the message contains, the thread, the body.
    public static TheoryData<string, int?, string> OneWarp => new()
    {
        { "20 bytes behind the end of input", 3, "setp.eq.u32 %p1, %r0, 3;\n@%p1 ld.global.u32 %r4, [%rd0+2060]; // here" },
        { "4 bytes before input", 0, "ld.global.u32 %r4, [%rd0+-4]; // here" },
        { "leave input by 8", 0, "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%rd0+2032]; // here" },
        { "not aligned to 16", 0, "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%rd0+8]; // here" },
        { "not aligned to 4", 5, "setp.gt.u32 %p1, %r0, 4;\n@%p1 st.global.u32 [%rd3+2], 1; // here" },
        { "another thread of the warp writes another value", 0, "st.shared.u32 [smem], %r0; // here" },
        { "another thread of the warp writes another value", 4, "shr.u32 %r4, %r0, 1;\nmul.wide.u32 %rd8, %r4, 8;\nadd.s64 %rd8, %rd1, %rd8;\nmov.u32 %r5, 0;\nsetp.eq.u32 %p1, %r0, 5;\n@%p1 mov.u32 %r5, 1;\nst.global.u32 [%rd8], %r5; // here" },
        { "read-only", 0, "st.global.u32 [%rd0], 1; // here" },
        { "byte 0 of output, which has no value", 0, "ld.global.u32 %r4, [%rd1]; // here" },
        { "of shared memory, which has no value", 0, "ld.shared.u32 %r4, [smem]; // here" },
        { "1024 of 1024 bytes of shared memory", 31, "mul.lo.u32 %r4, %r0, 32;\nadd.u32 %r4, %r4, 32;\nst.shared.u32 [%r4], 1; // here" },
        { "of local memory, which have no value", 0, "ld.local.u32 %r4, [slot]; // here" },
        { "8 of 8 bytes of local memory", 0, "mov.u64 %rd8, slot;\nst.local.u32 [%rd8+8], 1; // here" },
        { "register %r9 has no value", 0, "add.u32 %r4, %r9, 1; // here" },
        { "register %p3 has no value", 0, "@%p3 add.u32 %r4, %r0, 1; // here" },
        { "register %r9 has no value", 4, "setp.lt.u32 %p1, %r0, 4;\n@%p1 mov.u32 %r9, 1;\nadd.u32 %r4, %r9, 1; // here" },
        { "divergence at bra.uni", 4, "setp.lt.u32 %p1, %r0, 4;\n@%p1 bra.uni end; // here\nend:" },
        { "this one diverged", 4, "setp.lt.u32 %p1, %r0, 4;\n@!%p1 bra end;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r4}, [smem]; // here\nend:" },
        { "has exited", 4, "setp.ge.u32 %p1, %r0, 4;\n@%p1 ret;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r4}, [smem]; // here" },
        { "divergence at a barrier", 4, "setp.lt.u32 %p1, %r0, 4;\n@!%p1 bra end;\nbar.sync 0; // here\nend:" },
        { "exited before a barrier", 4, "setp.ge.u32 %p1, %r0, 4;\n@%p1 ret;\nbar.sync 0; // here" },
        { "which does not execute it", 4, "setp.lt.u32 %p1, %r0, 4;\n@%p1 shfl.sync.bfly.b32 %r4, %r0, 1, 0x1f, 0xffffffff; // here" },
        { "lacks this thread", 4, "shfl.sync.bfly.b32 %r4, %r0, 1, 0x1f, 0x0000000f; // here" },
        { "which does not execute the shuffle", 3, "setp.lt.u32 %p1, %r0, 4;\n@%p1 shfl.sync.down.b32 %r4, %r0, 1, 0x1f, 0x0000000f; // here" },
        { "which does not execute it", 4, "setp.lt.u32 %p1, %r0, 4;\n@%p1 bar.warp.sync 0xffffffff; // here" },
        { "asynchronous copy into it is in flight", 0, "mul.lo.u32 %r3, %r0, 16;\ncp.async.cg.shared.global [%r3], [%rd2], 16;\ncp.async.commit_group;\nld.shared.u32 %r4, [%r3]; // here" },
        { "asynchronous copy into it is in flight", 0, "mul.lo.u32 %r3, %r0, 16;\ncp.async.cg.shared.global [%r3], [%rd2], 16;\nst.shared.u32 [%r3], 1; // here" },
        { "asynchronous copy into it is in flight", 0, "mul.lo.u32 %r3, %r0, 16;\ncp.async.cg.shared.global [%r3], [%rd2], 16;\ncp.async.commit_group;\ncp.async.wait_group 1;\nbar.sync 0;\nld.shared.u32 %r4, [%r3]; // here" },
        { "another thread's asynchronous copy", 0, "mul.lo.u32 %r3, %r0, 16;\ncp.async.cg.shared.global [%r3], [%rd2], 16;\ncp.async.wait_all;\nxor.b32 %r3, %r3, 16;\nld.shared.u32 %r4, [%r3]; // here" },
        // Lanes of a warp exchange through shared memory: only bar.warp.sync and barriers put what they do in order.
        { "which lane 1 of its warp wrote, without bar.warp.sync", 0, "shl.b32 %r3, %r0, 2;\nxor.b32 %r5, %r3, 4;\nst.shared.u32 [%r3], 1;\nld.shared.u32 %r4, [%r5]; // here" },
        { "which lane 1 of its warp wrote, without bar.warp.sync", 0, "shl.b32 %r3, %r0, 2;\nxor.b32 %r5, %r3, 4;\nst.shared.u32 [%r3], 1;\nshfl.sync.bfly.b32 %r6, %r0, 1, 0x1f, 0xffffffff;\nld.shared.u32 %r4, [%r5]; // here" },
        { "which lane 2 of its warp read, without bar.warp.sync", 3, "shl.b32 %r3, %r0, 2;\nxor.b32 %r5, %r3, 4;\nst.shared.u32 [%r3], 1;\nbar.warp.sync 0xffffffff;\nld.shared.u32 %r4, [%r5];\nsetp.eq.u32 %p1, %r0, 3;\n@%p1 st.shared.u32 [%r3], 2; // here" },
        { "which lane 4 of its warp wrote, without bar.warp.sync", 5, "setp.eq.u32 %p1, %r0, 4;\nsetp.eq.u32 %p2, %r0, 5;\n@%p1 st.shared.u32 [smem], 1;\n@%p2 st.shared.u32 [smem], 2; // here" },
        { "of its warp wrote, without bar.warp.sync", 0, "shl.b32 %r3, %r0, 4;\nst.shared.v4.u32 [%r3], {0, 0, 0, 0};\nldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r3]; // here" },
        { "other lanes of its warp read, without bar.warp.sync", 0, "shl.b32 %r3, %r0, 4;\nst.shared.v4.u32 [%r3], {0, 0, 0, 0};\nbar.sync 0;\nldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r3];\ncp.async.cg.shared.global [%r3], [%rd2], 16; // here\ncp.async.wait_all;" },
        { "ld.global.nc of byte 0 of output, which block (0, 0, 0) wrote in this launch", 0, "st.global.u32 [%rd3], 1;\nld.global.nc.u32 %r4, [%rd3]; // here" },
        { "reads 20 bytes for a copy of 16", 0, "mov.u32 %r4, 20;\ncp.async.cg.shared.global [smem], [%rd0], 16, %r4; // here" },
        { "not aligned to 16", 0, "cp.async.cg.shared.global [smem+8], [%rd0], 16; // here" },
        { "not aligned to 16", 0, "cp.async.cg.shared.global [smem], [%rd0+8], 16; // here" },
        { "1024 of 1024 bytes of shared memory", 0, "cp.async.cg.shared.global [smem+1024], [%rd0], 16; // here" },
        { "behind the end of input", 31, "setp.eq.u32 %p1, %r0, 31;\n@%p1 cp.async.cg.shared.global [smem], [%rd0+2048], 16; // here" },
        { "not aligned to 16", 3, "mul.lo.u32 %r3, %r0, 16;\nst.shared.v4.u32 [%r3], {0, 0, 0, 0};\nbar.sync 0;\nsetp.eq.u32 %p1, %r0, 3;\n@%p1 add.u32 %r3, %r3, 4;\nldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r3]; // here" },
        { "needs all 32 threads", 0, "setp.ne.u32 %p1, %r0, 0;\nmov.b32 %r4, 0;\n@%p1 mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r4,%r5,%r6,%r7}, {%r4,%r4,%r4,%r4}, {%r4,%r4}, {%r4,%r4,%r4,%r4}; // here" },
        { "there is no barrier 16", null, "bar.sync 16; // here" },
        { "trap", 2, "setp.eq.u32 %p1, %r0, 2;\n@%p1 trap; // here" },
        { "index 3 of a table of 3", 3, "and.b32 %r3, %r0, 3;\nt: .branchtargets a, a, b;\nbrx.idx %r3, t; // here\na:\nb:" },
    };

    // What the message contains and the line's statement, in a body with the declarations of PtxProgram.
    public static TheoryData<string, string> Refused => new()
    {
        { "unknown instruction foo", "foo.b32 %r4, %r5; // here" },
        { "unknown modifier .bar of add", "add.bar.s32 %r4, %r0, %r0; // here" },
        { "unknown directive .section", ".section a; // here" },
        { "%r99 is not declared", "mov.b32 %r4, %r99; // here" },
        { "%clock is not declared and no special register", "mov.u32 %r4, %clock; // here" },
        { "label nowhere is not declared", "bra nowhere; // here" },
        { "label twice is declared twice", "twice:\ntwice: // here" },
        { "register %r4 is declared twice", ".reg .b32 %r4; // here" },
        { "%rd4 has 64 bits, not 32", "add.s32 %r4, %rd4, %r0; // here" },
        { "%r4 is no predicate", "@%r4 mov.b32 %r5, 0; // here" },
        { "has 3 operands here, not 4", "add.s32 %r4, %r0, %r0, %r0; // here" },
        { "operand 3 is missing", "cp.async.cg.shared.global [smem], [%rd0]; // here" },
        { "registers for 4 matrices", "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4}, [smem]; // here" },
        { "operand 2 has 2 registers, not 4", "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r4,%r5,%r6,%r7}, {%r4,%r4}, {%r4,%r4}, {%r4,%r4,%r4,%r4}; // here" },
        { "cp.async.cg copies 16 bytes, not 8", "cp.async.cg.shared.global [smem], [%rd0], 8; // here" },
        { "of 32 bits is no address", "ld.global.u32 %r4, [%r5]; // here" },
        { "leave parameter n of 4 bytes", "ld.param.b64 %rd4, [n]; // here" },
        { "cvt needs .rn here", "cvt.f16.f32 %h1, %r4; // here" },
        { "rounding .rz is not supported", "add.rz.f32 %r4, %r5, %r6; // here" },
        { "behind a use of the dynamic one", "mov.u32 %r4, dyn;\n.shared .b32 late; // here" },
        { "functions are not supported", "ret;\n}\n.func f // here" },
    };

    [Theory]
    [MemberData(nameof(OneWarp))]
    public void Errors_Of_A_Warp_Name_Line_And_Thread(string problem, int? thread, string body)
    {
        PtxProgram program = new(body, ".shared .align 16 .b8 smem[1024];\n.local .align 8 .b8 slot[8];") { Options = PtxOptions.Default with { MostInstructions = 10_000 } };
        PtxException error = program.Fails(problem, Input);
        Assert.Equal(thread, error.Thread);
        Assert.Equal(new PtxBlockIndex(0, 0, 0), error.Block);
        Assert.Contains(PtxProgram.Here, error.Text);
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_The_Parser_Does_Not_Know_Is_An_Error_With_Its_Line(string problem, string body)
    {
        PtxProgram program = new(body, ".shared .align 16 .b8 smem[1024];", module: ".extern .shared .align 16 .b8 dyn[];");
        PtxException error = Assert.Throws<PtxException>(() => { PtxModule.Parse(program.Text); });
        Assert.Contains(problem, error.Message);
        Assert.Equal(program.MarkedLine, error.Line);
        Assert.Null(error.Block);
    }

    [Theory]
    // The second warp reads what the first one wrote; a barrier between would make it right.
    [InlineData("warp 1 reads byte 0 of shared memory, which warp 0 wrote", "setp.ne.u32 %p1, %r0, 0;\n@%p1 bra x;\nst.shared.u32 [smem], 1;\nx:\nsetp.ne.u32 %p2, %r0, 32;\n@%p2 bra y;\nld.shared.u32 %r4, [smem]; // here\ny:")]
    [InlineData("warp 1 writes byte 0 of shared memory, which warp 0 wrote", "setp.lt.u32 %p1, %r0, 31;\n@%p1 bra x;\nst.shared.u32 [smem], 1; // here\nx:")]
    [InlineData("warp 1 writes byte 0 of shared memory, which warp 0 read", "st.shared.u32 [%r10], 1;\nbar.sync 0;\nld.shared.u32 %r4, [%r11];\nadd.u32 %r5, %r11, %r12;\n@%p6 st.shared.u32 [%r5], 2; // here")]
    [InlineData("warp 1 writes byte 0 of shared memory, which several warps read", "st.shared.u32 [%r10], 1;\nbar.sync 0;\nld.shared.u32 %r4, [smem];\nsetp.gt.u32 %p1, %r0, 31;\n@%p1 st.shared.u32 [smem], 2; // here")]
    [InlineData("which another thread's asynchronous copy wrote, before a barrier", "cp.async.cg.shared.global [%r13], [%rd2], 16;\ncp.async.wait_all;\nbar.sync 0;\nsetp.gt.u32 %p1, %r0, 31;\n@%p1 bra x;\ncp.async.cg.shared.global [%r13], [%rd2], 16;\nx:\nxor.b32 %r13, %r13, 512;\nld.shared.u32 %r4, [%r13]; // here\ncp.async.wait_all;")]
    [InlineData("an atomic operation wrote", "setp.eq.u32 %p1, %r0, 0;\n@%p1 st.shared.u32 [smem], 0;\nbar.sync 0;\nred.shared.add.u32 [smem], 1;\nld.shared.u32 %r4, [smem]; // here")]
    [InlineData("warp 0 waits at a barrier, but warp 1 has exited", "setp.gt.u32 %p1, %r0, 31;\n@%p1 bra.uni x;\nbar.sync 0; // here\nx:")]
    [InlineData("warp 0 waits at barrier 1, warp 1 at barrier 2", "setp.gt.u32 %p1, %r0, 31;\n@%p1 bra.uni x;\nbar.sync 1; // here\nret;\nx:\nbar.sync 2;")]
    [InlineData("barriers of a part of the block", "bar.sync 0, 32; // here")]
    public void Errors_Between_Warps_Name_The_Line(string problem, string body)
    {
        // %r10: own word; %r11: own word of a warp-private half; %r12: distance to the other warp's; %r13: own 16 bytes.
        string start = "shl.b32 %r10, %r0, 2;\nmov.u32 %r11, %r10;\nmov.u32 %r12, 0;\nsetp.gt.u32 %p6, %r0, 31;\n@%p6 mov.u32 %r12, -128;\nshl.b32 %r13, %r0, 4;\n";
        new PtxProgram(start + body, ".shared .align 16 .b8 smem[1024];") { Threads = 64 }.Fails(problem, Input);
    }

    [Theory]
    [InlineData("race: block (0, 0, 0) wrote the same byte of output", "st.global.u32 [%rd1], 1; // here")]
    [InlineData("reads byte 0 of output, which block (0, 0, 0) wrote", "setp.eq.u32 %p1, %r1, 0;\n@%p1 bra x;\nld.global.u32 %r4, [%rd1]; // here\nx:\nst.global.u32 [%rd3], 1;")]
    public void Blocks_Must_Not_Share_Bytes_That_One_Writes(string problem, string body)
    {
        PtxProgram program = new("setp.eq.u32 %p3, %r0, 0;\n@!%p3 ret;\n" + body) { Grid = (2, 1, 1), Options = new PtxOptions { Workers = 1 } };
        Assert.Equal(new PtxBlockIndex(1, 0, 0), program.Fails(problem, Input).Block);
    }

    [Fact]
    public void The_Error_Is_That_Of_The_Lowest_Block_For_Any_Number_Of_Workers()
    {
        foreach (int workers in new[] { 1, 2, 5 })
        {
            PtxProgram program = new("setp.lt.u32 %p1, %r1, 7;\n@%p1 ret;\nld.global.u32 %r4, [%rd1+-4]; // here")
            {
                Grid = (40, 1, 1),
                Options = new PtxOptions { Workers = workers },
            };
            Assert.Equal(new PtxBlockIndex(7, 0, 0), program.Fails("bytes before output", Input).Block);
        }
    }

    [Fact]
    public void A_Source_That_Changes_Under_An_Asynchronous_Copy_Is_An_Error()
    {
        new PtxProgram("""
            st.global.b64 [%rd3], 1;
            bar.sync 0;
            shl.b32 %r4, %r0, 3;
            cp.async.ca.shared.global [%r4], [%rd3], 8; // here
            st.global.b64 [%rd3], 2;
            cp.async.wait_all;
            """, ".shared .align 16 .b8 smem[1024];").Fails("changed while it was in flight", Input);
    }

    [Fact]
    public void Text_That_Ends_Too_Early_Is_An_Error_At_Its_End()
    {
        string text = ".version 7.8\n.target sm_80\n.entry k() {\nmov.b32";
        Assert.Equal(4, Assert.Throws<PtxException>(() => { PtxModule.Parse(text); }).Line);
    }

    [Fact]
    public void An_Endless_Loop_Ends_At_The_Limit()
    {
        PtxProgram program = new("x:\nbra.uni x; // here") { Options = new PtxOptions { MostInstructions = 1000 } };
        program.Fails("endless loop");
    }

    [Fact]
    public void Launches_That_Do_Not_Fit_The_Kernel_Or_The_Device_Are_Refused()
    {
        PtxProgram Program(int threads, int shared, int architecture) =>
            new("", directives: ".maxntid 64, 1, 1", module: ".extern .shared .align 16 .b8 dyn[];")
            {
                Threads = threads,
                DynamicSharedBytes = shared,
                Options = new PtxOptions { Architecture = architecture },
            };
        void Refuses(string problem, PtxProgram program) =>
            Assert.Contains(problem, Assert.Throws<PtxException>(() => { program.Run([]); }).Message);
        Program(64, 163 * 1024, 80).Run([]);
        Program(64, 227 * 1024, 90).Run([]);
        Refuses(".maxntid says 64", Program(32, 0, 80));
        Refuses("166928 bytes of shared memory; a block of an sm_80 device has 166912 (sm_90: 232448)", Program(64, (163 * 1024) + 16, 80));
        Refuses("a block of an sm_90 device has 232448", Program(64, (227 * 1024) + 16, 90));
        Refuses("compiled for sm_80, the device has sm_75", Program(64, 0, 75));
        Refuses("dynamic shared memory for a kernel without", new PtxProgram("") { DynamicSharedBytes = 16 });
        Refuses("is not possible", new PtxProgram("") { Grid = (1, 65536, 1) });
    }

    /// <summary>Memory that a launch reads: what was read as constant nobody may write, other bytes only the block that read them.</summary>
    [Theory]
    [InlineData("ld.global.nc.u32 %b, [%a]; @%p st.global.u32 [%a], 7;", 1, "which ld.global.nc read in this launch")]
    [InlineData("ld.global.u32 %b, [%a]; @%p st.global.u32 [%a], 7;", 1, null)]
    [InlineData("@!%p ld.global.u32 %b, [%a]; @%p st.global.u32 [%a], 7;", 2, "which block (0, 0, 0) read in this launch")]
    [InlineData("ld.global.u32 %b, [%a]; @%p st.global.u32 [%a], 7;", 2, "which ld.global.nc read in this launch")]
    [InlineData("@!%p ld.global.u32 %b, [%a]; @%p st.global.u32 [%a+4], 7;", 2, null)]
    public unsafe void What_A_Launch_Reads_Others_Must_Not_Write(string body, int blocks, string? problem)
    {
        ulong* data = stackalloc ulong[1];
        GlobalMemory memory = new();
        memory.Register(data, 8, initialised: true, writable: true, "data");
        // %p: the last block.
        PtxModule module = PtxModule.Parse($$"""
            .version 7.8
            .target sm_80
            .visible .entry K(.param .b64 p) {
            .reg .b64 %a; .reg .b32 %b, %c, %d; .reg .pred %p;
            ld.param.b64 %a, [p]; mov.u32 %c, %ctaid.x; mov.u32 %d, %nctaid.x; sub.s32 %d, %d, 1; setp.eq.u32 %p, %c, %d;
            {{body}}
            ret; }
            """);
        void Launch() => PtxLaunch.Run(module, "K", (blocks, 1, 1), 1, 0, BitConverter.GetBytes((ulong)data), memory, new PtxOptions { Workers = 1 });
        if (problem == null)
        {
            Launch();
            Launch();
            return;
        }
        Assert.Contains(problem, Assert.Throws<PtxException>(Launch).Message);
    }

    [Fact]
    public unsafe void Memory_Remembers_What_Kernels_And_Hosts_Wrote()
    {
        uint* data = stackalloc uint[4];
        GlobalMemory memory = new();
        memory.Register(data, 16, false, true, "data");
        Assert.Throws<ArgumentException>(() => memory.Register(data + 1, 4, true, true, "inside"));
        PtxModule module = PtxModule.Parse("""
            .version 7.8
            .target sm_80
            .visible .entry Write(.param .b64 p) { .reg .b64 %a; ld.param.b64 %a, [p]; st.global.u32 [%a], 7; ret; }
            .visible .entry Read(.param .b64 p) { .reg .b64 %a; .reg .b32 %b; ld.param.b64 %a, [p]; ld.global.u32 %b, [%a]; ret; }
            """);
        void Launch(string entry, uint* address) => PtxLaunch.Run(module, entry, (1, 1, 1), 1, 0, BitConverter.GetBytes((ulong)address), memory);
        Assert.Throws<PtxException>(() => Launch("Read", data));
        Launch("Write", data);
        Launch("Read", data);
        Assert.Equal(7u, data[0]);
        Assert.Throws<PtxException>(() => Launch("Read", data + 1));
        memory.MarkInitialised(data + 1, 4);
        Launch("Read", data + 1);
        memory.MarkUninitialised(data, 16);
        Assert.Throws<PtxException>(() => Launch("Read", data));
        memory.Register(data, 16, true, false, "the same");
        Launch("Read", data + 3);
        Launch("Write", data + 3);
        memory.Unregister(data);
        Assert.Contains("no memory is registered", Assert.Throws<PtxException>(() => Launch("Read", data)).Message);
    }
}
