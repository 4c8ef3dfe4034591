namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Text that is no PTX gives a <see cref="PtxException"/> with a line, and always ends.</summary>
public sealed class PtxParserTests
{
    private static readonly string Program = new PtxProgram("""
        // comment
        /* comment
           of two lines */
        .pragma "nounroll";
        mov.u32 %r3, buffer;
        loop:
        { .reg .b32 %t<3>; mov.b32 %t1, 0x1F; mov.b32 %t2, 0b101; add.u32 %r3, %t1, %t2; }
        table: .branchtargets loop, end;
        ld.global.v2.f32 {%f1, _}, [%rd2+-0];
        setp.eq.and.u32 %p1|%p2, %r0, 3, !%p0;
        @%p1 brx.idx %r0, table;
        cp.async.cg.shared.global [ %r3 + 16 ], [%rd0], 16, %r4;
        shfl.sync.bfly.b32 %r4|%p3, %r3, 1, 0x1f, 0xffffffff;
        mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r1,%r1,%r1}, {%r1,%r1}, {%f1,%f2,%f3,%f4};
        ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r4, %r5}, [%r3];
        cvt.rn.bf16x2.f32 %r6, %f1, 1.5;
        end:
        bar.sync 0;
        """, ".shared .align 16 .b8 buffer[512];\n.local .b32 slot[2][2];", ".maxntid 64, 1, 1 .minnctapersm 2", ".extern .shared .align 16 .b8 dyn[];").Text;

    [Fact]
    public void The_Seed_Of_The_Mutations_Is_A_Module()
    {
        PtxEntry entry = PtxModule.Parse(Program)["K"];
        Assert.Equal((64, 512, 16, "dyn"), (entry.MaxThreads, entry.StaticSharedBytes, entry.LocalBytes, entry.DynamicSharedSymbol));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Mutated_Text_Parses_Or_Gives_A_PtxException_With_A_Line(int seed)
    {
        Random random = new(seed);
        string[] words = Program.Split([' ', '\n', ',', ';'], StringSplitOptions.RemoveEmptyEntries);
        for (int i = 0; i < 600; i++)
        {
            string text = Program;
            for (int m = random.Next(1, 4); m > 0 && text.Length > 0; m--)
            {
                int at = random.Next(text.Length);
                int length = Math.Min(random.Next(12), text.Length - at);
                text = random.Next(5) switch
                {
                    0 => text.Remove(at, length),
                    1 => text.Insert(at, ((char)random.Next(32, 127)).ToString()),
                    2 => text.Insert(at, words[random.Next(words.Length)]),
                    3 => text.Insert(at, text.Substring(random.Next(text.Length - length + 1), length)),
                    _ => text[..at],
                };
            }
            AssertParses(text);
        }
    }

    [Fact]
    public void Random_Characters_Give_A_PtxException_With_A_Line()
    {
        Random random = new(5);
        const string Characters = ".{}()[]<>@!|,;:+-%_\"/*\n abcxyz0123456789\u00e4\0";
        for (int i = 0; i < 2000; i++)
        {
            string text = new([.. Enumerable.Range(0, random.Next(80)).Select(_ => Characters[random.Next(Characters.Length)])]);
            Assert.Throws<PtxException>(() => { PtxModule.Parse(text); });
            AssertParses(text);
            AssertParses(".version 7.8\n.target sm_80\n.entry k() {" + text);
        }
    }

    [Theory]
    [InlineData(".reg .b32 %r<2000000000>;")]
    [InlineData(".reg .b32 %r<90000>; .reg .b32 %q<90000>;")]
    [InlineData(".shared .b8 a[2000000000];")]
    [InlineData(".shared .b8 a[40000]; .shared .b8 b[40000];")]
    [InlineData(".local .b8 a[100000][100000];")]
    [InlineData("mov.b32 %r, {{{{{{{{0}}}}}}}};")]
    [InlineData("mov.b64 %r, 99999999999999999999999;")]
    [InlineData("mov.b32 %r, 010;")]
    [InlineData("mov.b32 %r, 0f3F80;")]
    public void Sizes_Without_Measure_Are_Refused(string line)
    {
        PtxException error = Assert.Throws<PtxException>(() => { PtxModule.Parse(".version 7.8\n.target sm_80\n.entry k() {\n.reg .b32 %r;\n" + line + "\n}"); });
        Assert.InRange(error.Line, 3, 5);
    }

    private static void AssertParses(string text)
    {
        try
        {
            PtxModule.Parse(text);
        }
        catch (PtxException error)
        {
            Assert.InRange(error.Line, 1, text.Count(c => c == '\n') + 1);
        }
    }
}
