using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>Launches the tensor-core kernels of many rows over a case.</summary>
internal static unsafe class PrefillLaunch
{
    /// <summary>The kernel that the engine would choose, over all rows, and what follows it.</summary>
    /// <param name="c">The case.</param>
    /// <param name="tiles">64-bit words of a row of role bits; 0: as many as there are keys for.</param>
    public static void Run(AttentionCase c, int tiles = 0)
    {
        using KernelCase kernel = new(c, tiles);
        Run(c, kernel);
    }

    /// <summary>The same, with memory that the caller looks at.</summary>
    /// <returns>Addresses of the partials of rows of U; 0: there are none.</returns>
    public static (long Stats, long Outputs) Run(AttentionCase c, KernelCase kernel)
    {
        AttentionProblem p = c.Problem;
        bool hasValues = !p.Value.IsEmpty, isSimple = p.Softcap == 0 && p.Bias.IsEmpty && p.Scale > 0;
        long stats = kernel.Spoken == 0 ? 0 : kernel.Kernels.Output<float>("stats", p.Heads * kernel.Spoken * 8);
        long outputs = kernel.Spoken == 0 || !hasValues ? 0 : kernel.Kernels.Output<float>("outputs", p.Heads * kernel.Spoken * 2 * p.ValueHeadSize);
        if (hasValues)
        {
            Run(c, kernel, !isSimple ? "PrefillOptions" : kernel.Spoken == 0 ? "PrefillPlain" : "PrefillClasses", null, stats, outputs);
        }
        else if (kernel.Spoken > 0)
        {
            Run(c, kernel, "ScoresOnly", null, stats, 0);
        }
        if (!c.Bias.Keys.IsEmpty)
        {
            SpokenRows.Finish(c, kernel, stats, outputs);
        }
        return (stats, outputs);
    }

    /// <summary>One kernel.</summary>
    /// <param name="c">The case.</param>
    /// <param name="kernel">Its memory.</param>
    /// <param name="name">Stem of the kernel.</param>
    /// <param name="blocks">Entries of the list of blocks; null: all, without a list.</param>
    /// <param name="stats">Partials of rows of U.</param>
    /// <param name="outputs">Their outputs.</param>
    public static void Run(AttentionCase c, KernelCase kernel, string name, int[]? blocks, long stats, long outputs)
    {
        AttentionProblem p = c.Problem;
        int rows = name == "PrefillOptions" ? 64 : 128, rowBlocks = (p.QueryLength + rows - 1) / rows;
        bool hasClasses = name != "PrefillPlain", hasOptions = name is "PrefillOptions" or "ScoresOnly", hasOutput = name != "ScoresOnly";
        List<(string, double)> parameters =
        [
            ("keyLengths", kernel.KeyLengths), ("queryOffsets", kernel.QueryOffsets), ("blocks", blocks == null ? 0 : kernel.Kernels.Input("blocks", blocks)),
            ("heads", p.Heads), ("kvHeads", p.KvHeads), ("queryLength", p.QueryLength), ("keyLength", p.KeyLength), ("rowBlocks", rowBlocks),
            ("scale", p.Scale), ("causal", p.Causal ? 1 : 0), ("window", p.Window),
        ];
        if (hasClasses)
        {
            // PrefillOptions takes the place of both other kernels; the class kernel always has an index.
            long index = kernel.Spoken > 0 ? kernel.SpokenIndex : hasOptions ? 0 : kernel.Kernels.Input("spoken index", Enumerable.Repeat(-1, p.Batch * p.QueryLength).ToArray());
            parameters.AddRange([
                ("spokenIndex", index), ("run", kernel.Run), ("aligned", kernel.Aligned), ("boxed", kernel.Boxed), ("stats", stats), ("tiles", kernel.Tiles), ("spoken", kernel.Spoken)]);
        }
        if (hasOptions)
        {
            parameters.Add(("softcap", p.Softcap));
        }
        if (hasOutput)
        {
            parameters.Add(("headSink", kernel.HeadSink));
        }
        if (hasClasses && hasOutput)
        {
            parameters.Add(("outputs", outputs));
        }
        kernel.Kernels.Run(
            $"{name}_{kernel.ElementName}_{p.HeadSize}", (blocks?.Length ?? (p.Batch * rowBlocks), p.Heads, 1),
            kernel.With("query key" + (hasOutput ? " value output" : "") + (hasOptions ? " bias" : ""), [.. parameters]));
    }
}
