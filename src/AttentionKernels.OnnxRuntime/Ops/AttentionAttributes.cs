using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Attributes that every attention operator has, with the names and defaults of com.microsoft::GroupQueryAttention.</summary>
internal readonly record struct AttentionAttributes
{
    /// <summary>num_heads.</summary>
    public required int Heads { get; init; }

    /// <summary>kv_num_heads; num_heads if the node has none.</summary>
    public required int KvHeads { get; init; }

    /// <summary>scale; 0 is 1 / sqrt(D).</summary>
    public required float Scale { get; init; }

    /// <summary>softcap; 0 is none.</summary>
    public required float Softcap { get; init; }

    /// <summary>local_window_size; here 0 is none.</summary>
    public required int Window { get; init; }

    /// <summary>causal.</summary>
    public required bool Causal { get; init; }

    /// <summary>A problem with these heads and options; sizes and tensors are still to come, and <see cref="ScaleFor"/> with them.</summary>
    public AttentionProblem Problem => new()
    {
        Heads = Heads,
        KvHeads = KvHeads,
        Softcap = Softcap,
        Window = Window,
        Causal = Causal,
    };

    /// <summary>Factor of the dot product of heads of a size.</summary>
    public float ScaleFor(int headSize) => Scale != 0 ? Scale : 1 / MathF.Sqrt(headSize);

    /// <summary>Reads and checks them.</summary>
    public static AttentionAttributes Read(in KernelInfo info)
    {
        int heads = Count(info, "num_heads", null, int.MaxValue);
        int kvHeads = Count(info, "kv_num_heads", heads, int.MaxValue);
        if (heads % kvHeads != 0)
        {
            throw Argument.Error($"attribute 'num_heads' is {heads}, expected a multiple of kv_num_heads = {kvHeads}");
        }
        float scale = Finite(info, "scale", 0);
        float softcap = Finite(info, "softcap", 0);
        if (softcap < 0)
        {
            throw Argument.Error($"attribute 'softcap' is {softcap}, expected 0 (none) or more");
        }
        long window = info.Int("local_window_size") ?? -1;
        if (window is < -1 or 0 or > int.MaxValue)
        {
            throw Argument.Error($"attribute 'local_window_size' is {window}, expected -1 (none) or 1..{int.MaxValue}");
        }
        return new AttentionAttributes
        {
            Heads = heads,
            KvHeads = kvHeads,
            Scale = scale,
            Softcap = softcap,
            Window = window < 0 ? 0 : (int)window,
            Causal = Flag(info, "causal", true),
        };
    }

    /// <summary>A number from 1 to <paramref name="most"/>; <paramref name="fallback"/> null: required.</summary>
    public static int Count(in KernelInfo info, string name, int? fallback, int most)
    {
        long value = info.Int(name) ?? fallback ?? throw Argument.Error($"attribute '{name}' is missing, expected 1..{most}");
        return value >= 1 && value <= most ? (int)value : throw Argument.Error($"attribute '{name}' is {value}, expected 1..{most}");
    }

    /// <summary>0 or 1.</summary>
    public static bool Flag(in KernelInfo info, string name, bool fallback) => (info.Int(name) ?? (fallback ? 1 : 0)) switch
    {
        0 => false,
        1 => true,
        long other => throw Argument.Error($"attribute '{name}' is {other}, expected 0 or 1"),
    };

    /// <summary>A number that is neither NaN nor infinite.</summary>
    public static float Finite(in KernelInfo info, string name, float fallback)
    {
        float value = info.Float(name) ?? fallback;
        return float.IsFinite(value) ? value : throw Argument.Error($"attribute '{name}' is {value}, expected a finite number");
    }
}
