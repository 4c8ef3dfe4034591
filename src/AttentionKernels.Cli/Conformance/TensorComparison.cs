namespace AttentionKernels.Cli.Conformance;

/// <summary>How far an output is from what was expected.</summary>
/// <param name="Passed">Whether every element is within the tolerance.</param>
/// <param name="Ratio">Largest error as a part of its tolerance; infinite where one of the two numbers is not finite, 0 for equal tensors.</param>
/// <param name="Text">The largest error and where it is, or what else differs.</param>
internal sealed record TensorComparison(bool Passed, double Ratio, string Text)
{
    /// <summary>
    /// The rule of ONNX's backend tests: same type, same shape, and |actual - expected| at most atol + rtol * |expected| for each element; NaN and
    /// infinities only where they are expected.
    /// </summary>
    public static TensorComparison Of(string name, TensorData actual, TensorData expected, double rtol, double atol)
    {
        if (actual.Type != expected.Type)
        {
            return new(false, double.PositiveInfinity, $"{name} is {actual.Type}, expected {expected.Type}");
        }
        if (!actual.Shape.AsSpan().SequenceEqual(expected.Shape))
        {
            return new(false, double.PositiveInfinity, $"{name} has shape [{string.Join(',', actual.Shape)}], expected [{string.Join(',', expected.Shape)}]");
        }
        int at = -1, wrong = 0;
        double worst = 0;
        for (int i = 0; i < expected.Count; i++)
        {
            double a = actual[i], e = expected[i];
            double ratio = a == e || (double.IsNaN(a) && double.IsNaN(e)) ? 0
                : !double.IsFinite(a) || !double.IsFinite(e) ? double.PositiveInfinity
                : Math.Abs(a - e) / (atol + (rtol * Math.Abs(e)));
            wrong += ratio > 1 ? 1 : 0;
            if (ratio > worst)
            {
                (worst, at) = (ratio, i);
            }
        }
        if (at < 0)
        {
            return new(true, 0, "exact");
        }
        string where = $"{name}[{string.Join(',', Indices(at, expected.Shape))}]";
        return wrong == 0
            ? new(true, worst, $"error {Math.Abs(actual[at] - expected[at]):0.0e+0} at {where}, {worst:0.000} of the tolerance")
            : new(false, worst, $"{where} is {actual[at]:g9}, expected {expected[at]:g9} ({worst:0.0} of the tolerance; {wrong} of {expected.Count} elements are outside)");
    }

    private static long[] Indices(long at, long[] shape)
    {
        long[] indices = new long[shape.Length];
        for (int axis = shape.Length - 1; axis >= 0; axis--)
        {
            (at, indices[axis]) = Math.DivRem(at, shape[axis]);
        }
        return indices;
    }
}
