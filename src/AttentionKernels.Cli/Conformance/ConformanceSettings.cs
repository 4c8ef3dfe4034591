using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Cli.Conformance;

/// <summary>How cases are run and judged.</summary>
internal sealed record ConformanceSettings
{
    /// <summary>Whether attention nodes run on our kernels.</summary>
    public required bool Override { get; init; }

    /// <summary>Relative tolerance; null: the default of the output's type.</summary>
    public double? RelativeTolerance { get; init; }

    /// <summary>Absolute tolerance; null: the default of the output's type.</summary>
    public double? AbsoluteTolerance { get; init; }

    /// <summary>ONNX Runtime's threads; 0: one per core.</summary>
    public int Threads { get; init; }

    /// <summary>Relative and absolute tolerance for outputs of a type.</summary>
    public (double Relative, double Absolute) ToleranceOf(OnnxElementType type)
    {
        // ONNX's own for every type. For float16 that is one unit in the last place (2^-10). Expected numbers in bfloat16 come from
        // arithmetic in bfloat16 and are not nearer to the truth than two of its units (2^-7 each).
        double relative = type == OnnxElementType.BFloat16 ? 1.6e-2 : 1e-3, absolute = 1e-7;
        return (RelativeTolerance ?? relative, AbsoluteTolerance ?? absolute);
    }
}
