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
        const double relative = 1e-3, absolute = 1e-7; // ONNX's own
        return (RelativeTolerance ?? relative, AbsoluteTolerance ?? absolute);
    }
}
