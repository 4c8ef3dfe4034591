using System.Runtime.InteropServices;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A small kernel for tests: a body between a common beginning and a ret.</summary>
/// <remarks>
/// Registers: %p0..7, %h0..15 (16 bits), %r0..31, %f0..31, %rd0..15, %fd0..7. The beginning sets %rd0 and %rd1 to the input and the
/// output, %r0 to the thread, %r1 to the block, %r2 to the thread in the grid, %rd2 to input + 16 * %r2 and %rd3 to output + 8 * %r2.
/// </remarks>
internal sealed unsafe class PtxProgram
{
    /// <summary>Comment by which a test marks the line that must be named in an error.</summary>
    public const string Here = "// here";

    public PtxProgram(string body, string declarations = "", string directives = "", string module = "")
    {
        Text = $$"""
            .version 7.8
            .target sm_80
            .address_size 64
            {{module}}
            .visible .entry K(.param .b64 in, .param .b64 out, .param .b32 n)
            {{directives}}
            {
                .reg .pred %p<8>;
                .reg .b16 %h<16>;
                .reg .b32 %r<32>;
                .reg .f32 %f<32>;
                .reg .b64 %rd<16>;
                .reg .f64 %fd<8>;
                {{declarations}}
                ld.param.b64 %rd0, [in];
                ld.param.b64 %rd1, [out];
                mov.u32 %r0, %tid.x;
                mov.u32 %r1, %ctaid.x;
                mov.u32 %r2, %ntid.x;
                mad.lo.s32 %r2, %r1, %r2, %r0;
                mul.wide.u32 %rd2, %r2, 16;
                add.s64 %rd2, %rd0, %rd2;
                mul.wide.u32 %rd3, %r2, 8;
                add.s64 %rd3, %rd1, %rd3;
            {{body}}
                ret;
            }
            """;
    }

    public string Text { get; }

    /// <summary>Line that holds <see cref="Here"/>, from 1.</summary>
    public int MarkedLine => Array.FindIndex(Text.Split('\n'), line => line.Contains(Here, StringComparison.Ordinal)) + 1;

    public int Threads { get; init; } = 32;

    public PtxBlockIndex Grid { get; init; } = (1, 1, 1);

    public int DynamicSharedBytes { get; init; }

    public PtxOptions Options { get; init; } = PtxOptions.Default;

    /// <summary>Changes the parsed module before it runs.</summary>
    public Action<PtxModule>? Prepare { get; init; }

    /// <summary>Counts of the last run.</summary>
    public PtxCounts Counts { get; private set; } = new();

    /// <summary>Runs it and returns 8 bytes of output for each thread; what no thread wrote is all ones.</summary>
    public ulong[] Run(ReadOnlySpan<uint> input, int outputBytes = 0)
    {
        int all = Threads * Grid.X * Grid.Y * Grid.Z;
        using GuardedBuffer source = GuardedBuffer.Of(input.IsEmpty ? [0u] : input);
        using GuardedBuffer target = new(Math.Max(outputBytes, 8 * all));
        GlobalMemory memory = new();
        memory.Register(source.Data, (nuint)Math.Max(4, 4 * input.Length), true, false, "input");
        memory.Register(target.Data, (nuint)Math.Max(outputBytes, 8 * all), false, true, "output");
        byte[] parameters = new byte[20];
        MemoryMarshal.Write(parameters, (long)source.Data);
        MemoryMarshal.Write(parameters.AsSpan(8), (long)target.Data);
        MemoryMarshal.Write(parameters.AsSpan(16), input.Length);
        PtxModule module = PtxModule.Parse(Text);
        Prepare?.Invoke(module);
        Counts = PtxLaunch.Run(module, "K", Grid, Threads, DynamicSharedBytes, parameters, memory, Options);
        source.CheckMargins("input", Text);
        target.CheckMargins("output", Text);
        return target.Span<ulong>().ToArray();
    }

    /// <summary>The low 32 bits of each thread's output.</summary>
    public uint[] Run32(ReadOnlySpan<uint> input) => [.. Run(input).Select(value => (uint)value)];

    /// <summary>Runs it and returns the error that it must give, at the marked line.</summary>
    public PtxException Fails(string problem, params uint[] input)
    {
        PtxException error = Assert.Throws<PtxException>(() => { Run(input); });
        Assert.Contains(problem, error.Message);
        Assert.Equal(MarkedLine, error.Line);
        return error;
    }
}
