using System.Diagnostics;
using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Ops;

namespace AttentionKernels.Cli.Conformance;

/// <summary>Runs test cases through ONNX Runtime.</summary>
internal static class ConformanceRunner
{
    private static readonly string[] OverriddenOps = [.. OverrideDomains.OpsOf(AttentionOverrides.All).Select(op => op.Name).Distinct()];

    private const string Microsoft = "com.microsoft";

    // A domain lives as long as the process.
    private static readonly Lazy<OrtDomain> MicrosoftOverrides = new(() => Domain(Microsoft, AttentionOverrides.GroupQueryAttention | AttentionOverrides.MultiHeadAttention));
    private static readonly Lazy<OrtDomain> OnnxOverrides = new(() => Domain("", AttentionOverrides.OnnxAttention));

    /// <summary>Runs a case on this thread. Whatever is wrong with it is its result.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was cancelled.</exception>
    public static CaseResult Run(ConformanceCase test, ConformanceSettings settings, CancellationToken cancellation)
    {
        Stopwatch clock = Stopwatch.StartNew();
        CountedOp.TakeRuns();
        try
        {
            TensorComparison worst = Compare(test, settings, cancellation);
            return Result(worst.Passed ? CaseVerdict.Passed : CaseVerdict.Failed, worst.Text);
        }
        catch (SkippedCaseException e)
        {
            return Result(CaseVerdict.Skipped, e.Message);
        }
        catch (Exception e) when (e is RunException or OnnxModelException or OrtException or IOException or UnauthorizedAccessException)
        {
            return Result(CaseVerdict.Failed, FaultText.Describe(e), e);
        }

        CaseResult Result(CaseVerdict verdict, string text, Exception? exception = null) => new(test, verdict, text, CountedOp.TakeRuns(), clock.Elapsed, exception);
    }

    private static OrtDomain Domain(string name, AttentionOverrides overrides) => new(OrtApi.Default, name, OverrideDomains.OpsOf(overrides).Select(op => new CountedOp(op)));

    /// <summary>The worst comparison of all outputs of all data sets.</summary>
    private static TensorComparison Compare(ConformanceCase test, ConformanceSettings settings, CancellationToken cancellation)
    {
        ModelProto model = OnnxFile.Load(test.Model);
        GraphProto graph = model.Graph;
        string[] dataSets = test.FindDataSets();
        if (dataSets.Length == 0)
        {
            throw new SkippedCaseException("it has no test_data_set folder");
        }

        // Files count what the graph declares, without the inputs that have a value of their own. A skipped one has no name and no file.
        HashSet<string> initializers = [.. graph.Initializer.Select(i => i.Name), .. graph.SparseInitializer.Select(i => i.Values?.Name ?? "")];
        ValueInfoProto[] inputs = [.. graph.Input.Where(i => i.Name.Length > 0 && !initializers.Contains(i.Name))];
        ValueInfoProto[] outputs = [.. graph.Output.Where(o => o.Name.Length > 0)];
        if (inputs.Concat(outputs).FirstOrDefault(v => v.Type is { TensorType: null }) is ValueInfoProto other)
        {
            throw new SkippedCaseException($"'{other.Name}' is no tensor but a sequence, a map, or optional");
        }

        using OrtSessionOptions options = new() { IntraOpThreads = settings.Threads, LogSeverity = OrtLogSeverity.Fatal };
        if (settings.Override)
        {
            OnnxOverrides.Value.AddTo(options);
            // In a model that does not import com.microsoft, a domain of that name would hide the operators that ONNX Runtime's own fusions put in,
            // such as FusedMatMul.
            if (model.OpsetImport.Any(o => o.Domain == Microsoft))
            {
                MicrosoftOverrides.Value.AddTo(options);
            }
        }
        using OrtSession session = Load(test.Model, options);
        TensorComparison worst = new(true, -1, "");
        foreach (string dataSet in dataSets)
        {
            foreach (TensorComparison comparison in Compare(dataSet, session, inputs, outputs, settings, cancellation))
            {
                bool worse = comparison.Passed == worst.Passed ? comparison.Ratio > worst.Ratio : !comparison.Passed;
                worst = worse ? comparison : worst;
            }
        }
        return worst;
    }

    /// <summary>Loads the model; one that needs a kernel that ONNX Runtime lacks says nothing about ours.</summary>
    private static OrtSession Load(string path, OrtSessionOptions options)
    {
        try
        {
            return new OrtSession(path, options);
        }
        catch (OrtException e) when (e.Code == OrtErrorCode.NotImplemented && !OverriddenOps.Any(op => e.Message.Contains($"implementation for {op}(", StringComparison.Ordinal)))
        {
            throw new SkippedCaseException($"ONNX Runtime has no kernel for it: {FaultText.Describe(e)}");
        }
    }

    private static IEnumerable<TensorComparison> Compare(
        string dataSet, OrtSession session, ValueInfoProto[] inputs, ValueInfoProto[] outputs, ConformanceSettings settings, CancellationToken cancellation)
    {
        string[] inputFiles = ConformanceCase.FindTensors(dataSet, "input"), outputFiles = ConformanceCase.FindTensors(dataSet, "output");
        Check(inputFiles.Length, inputs.Length, "input");
        Check(outputFiles.Length, outputs.Length, "output");
        if (outputFiles.Length == 0)
        {
            throw new RunException($"'{dataSet}' has no output_0.pb: there is nothing to compare.");
        }
        TensorData[] expected = [.. outputFiles.Select(TensorFile.Read)];
        string[] names = [.. outputs.Take(expected.Length).Select(o => o.Name)];
        Dictionary<string, OrtTensor> feeds = [];
        TensorData[] actual;
        try
        {
            for (int i = 0; i < inputFiles.Length; i++)
            {
                TensorData tensor = TensorFile.Read(inputFiles[i]);
                feeds.Add(inputs[i].Name, OrtTensor.Copy(tensor.Type, tensor.Bytes, tensor.Shape));
            }
            OrtTensor[] results = session.Run(feeds, names, cancellation);
            try
            {
                actual = [.. results.Select(TensorData.Of)];
            }
            finally
            {
                Dispose(results);
            }
        }
        finally
        {
            Dispose(feeds.Values);
        }
        for (int i = 0; i < expected.Length; i++)
        {
            (double relative, double absolute) = settings.ToleranceOf(expected[i].Type);
            yield return TensorComparison.Of(names[i], actual[i], expected[i], relative, absolute);
        }

        void Check(int files, int declared, string kind)
        {
            if (files > declared)
            {
                throw new RunException($"'{dataSet}' has {files} {kind} files, but the model has {declared} {kind}s.");
            }
        }

        static void Dispose(IEnumerable<OrtTensor> tensors)
        {
            foreach (OrtTensor tensor in tensors)
            {
                tensor.Dispose();
            }
        }
    }
}
