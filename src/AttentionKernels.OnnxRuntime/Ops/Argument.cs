using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Checks of what a node was given. Every error names the input, what it has and what was expected; the caller adds the node.</summary>
internal static class Argument
{
    /// <summary>Stands for a dimension of any size.</summary>
    public const long Any = -1;

    /// <summary>An error about an input or attribute.</summary>
    public static OrtException Error(string message) => new(OrtErrorCode.InvalidArgument, message);

    /// <summary>An input that the schema requires.</summary>
    public static TensorArgument Required(in KernelContext context, int index, string name) =>
        context.TryGetInput(index, out TensorArgument input) ? input : throw Error($"input '{name}' is missing");

    /// <summary>Throws unless the input has this shape.</summary>
    /// <param name="input">The input.</param>
    /// <param name="name">Its name.</param>
    /// <param name="meaning">The shape in symbols, as "[B, S, num_heads * D]".</param>
    /// <param name="expected">The dimensions, <see cref="Any"/> for those that may be anything.</param>
    public static void CheckShape(in TensorArgument input, string name, string meaning, params ReadOnlySpan<long> expected)
    {
        bool fits = input.Rank == expected.Length;
        for (int i = 0; fits && i < expected.Length; i++)
        {
            fits = expected[i] == Any || input.Shape[i] == expected[i];
        }
        if (!fits)
        {
            throw Error($"input '{name}' has shape {Text(input.Shape)}, expected {Text(expected)} = {meaning}");
        }
    }

    /// <summary>Throws unless the input's elements are of this type: where a schema allows several, or a caller mixes them.</summary>
    public static void CheckType(in TensorArgument input, string name, ElementType type)
    {
        if (input.ElementType != type.ToOnnx())
        {
            throw Error($"input '{name}' is {input.ElementType}, expected {type.ToOnnx()}");
        }
    }

    /// <summary>A dimension that the engine can count in an int.</summary>
    public static int Dimension(in TensorArgument input, string name, int axis)
    {
        long size = input.Shape[axis];
        return size <= AttentionProblem.MaxLength
            ? (int)size
            : throw Error($"input '{name}' has shape {Text(input.Shape)}, expected at most {AttentionProblem.MaxLength} along axis {axis}");
    }

    /// <summary>The size of a head: a hidden size divided by the number of heads, which must divide it.</summary>
    public static int HeadSize(in TensorArgument input, string name, string heads, int count)
    {
        int hidden = Dimension(input, name, 2);
        return hidden > 0 && hidden % count == 0 && hidden / count <= AttentionProblem.MaxHeadSize
            ? hidden / count
            : throw Error($"input '{name}' has shape {Text(input.Shape)}, expected a multiple of {heads} = {count} along axis 2, for heads of 1..{AttentionProblem.MaxHeadSize}");
    }

    /// <summary>The size of a head that is a dimension of its own.</summary>
    public static int HeadSize(in TensorArgument input, string name, int axis)
    {
        int size = Dimension(input, name, axis);
        return size is >= 1 and <= AttentionProblem.MaxHeadSize ? size
            : throw Error($"input '{name}' has shape {Text(input.Shape)}, expected heads of 1..{AttentionProblem.MaxHeadSize} along axis {axis}");
    }

    /// <summary>Throws if one of two inputs that belong together is missing.</summary>
    public static void CheckPair(bool first, string firstName, bool second, string secondName)
    {
        if (first != second)
        {
            throw Error($"input '{(first ? firstName : secondName)}' is given without '{(first ? secondName : firstName)}', expected both or neither");
        }
    }

    /// <summary>A shape as text.</summary>
    public static string Text(ReadOnlySpan<long> shape) => $"[{string.Join(',', shape.ToArray().Select(n => n == Any ? "?" : $"{n}"))}]";
}
