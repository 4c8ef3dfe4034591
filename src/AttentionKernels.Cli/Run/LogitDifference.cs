using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Cli.Run;

/// <summary>How far two models' logits are apart.</summary>
/// <param name="Largest">Largest absolute difference.</param>
/// <param name="RootMeanSquare">Root of the mean squared difference.</param>
internal readonly record struct LogitDifference(double Largest, double RootMeanSquare)
{
    /// <summary>Compares tensors of one shape, float32 or float16.</summary>
    /// <param name="expected">The tensor to compare with; null: zeros, so that the result is the tensor's own size.</param>
    /// <param name="actual">The other tensor.</param>
    /// <exception cref="RunException">The shapes or types differ, or a number is NaN.</exception>
    public static LogitDifference Between(OrtTensor? expected, OrtTensor actual)
    {
        if (expected != null && (expected.ElementType != actual.ElementType || !expected.Shape.SequenceEqual(actual.Shape)))
        {
            throw new RunException(
                $"the logits are {actual.ElementType} [{string.Join(",", actual.Shape.ToArray())}] with SteeredAttention and {expected.ElementType} [{string.Join(",", expected.Shape.ToArray())}] without.");
        }
        return actual.ElementType switch
        {
            OnnxElementType.Float => Between(expected == null ? [] : expected.Span<float>(), actual.Span<float>(), value => value),
            OnnxElementType.Float16 => Between(expected == null ? [] : expected.Span<Half>(), actual.Span<Half>(), value => (float)value),
            _ => throw new RunException($"the logits are {actual.ElementType}, expected float32 or float16."),
        };
    }

    private static LogitDifference Between<T>(ReadOnlySpan<T> expected, ReadOnlySpan<T> actual, Func<T, float> read)
        where T : unmanaged
    {
        double largest = 0, squares = 0;
        for (int i = 0; i < actual.Length; i++)
        {
            float x = expected.IsEmpty ? 0 : read(expected[i]), y = read(actual[i]);
            // Equal infinities (a masked vocabulary) are no difference.
            double difference = x == y ? 0 : Math.Abs((double)x - y);
            if (double.IsNaN(difference))
            {
                throw new RunException($"the logits hold NaN at element {i}.");
            }
            largest = Math.Max(largest, difference);
            squares += difference * difference;
        }
        return new LogitDifference(largest, Math.Sqrt(squares / Math.Max(1, actual.Length)));
    }
}
