using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Reads what is added to logits: attention_bias and head_sink.</summary>
internal static unsafe class BiasInputs
{
    /// <summary>attention_bias [B or 1, H or 1, S, T], or an empty view.</summary>
    public static TensorView ReadBias(in KernelContext context, int index, ElementType type, in AttentionProblem problem)
    {
        if (!context.TryGetInput(index, out TensorArgument bias))
        {
            return default;
        }
        int batch = problem.Batch, heads = problem.Heads, rows = problem.QueryLength, keys = problem.KeyLength;
        bool perBatch = bias.Rank == 4 && bias.Shape[0] != 1, perHead = bias.Rank == 4 && bias.Shape[1] != 1;
        Argument.CheckShape(bias, "attention_bias", "[B or 1, num_heads or 1, S, T]", perBatch ? batch : 1, perHead ? heads : 1, rows, keys);
        long matrix = (long)rows * keys;
        return new TensorView(bias.Data, type, perBatch ? (perHead ? heads : 1) * matrix : 0, perHead ? matrix : 0, keys);
    }

    /// <summary>head_sink [H] as float32 into <paramref name="sinks"/>.</summary>
    /// <returns><paramref name="sinks"/>, or null if the node gives none.</returns>
    public static float* ReadSinks(in KernelContext context, int index, ElementType type, int heads, float* sinks)
    {
        if (!context.TryGetInput(index, out TensorArgument input))
        {
            return null;
        }
        Argument.CheckShape(input, "head_sink", "[num_heads]", heads);
        ElementRows.Widen(type, input.Data, sinks, heads);
        return sinks;
    }

    /// <summary>head_sink [H] of the tensors' type in the provider's memory, or null.</summary>
    public static void* ReadDeviceSinks(in KernelContext context, int index, int heads)
    {
        if (!context.TryGetInput(index, out TensorArgument input))
        {
            return null;
        }
        Argument.CheckShape(input, "head_sink", "[num_heads]", heads);
        return input.Data;
    }
}
