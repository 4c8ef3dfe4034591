using System.Text.RegularExpressions;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>Passes over the text that ILGPU writes.</summary>
internal static partial class PtxText
{
    /// <summary>ISA that the text declares: what the oldest supported driver (CUDA 11.8, 2022) compiles.</summary>
    public const string Version = "7.8";

    /// <summary>Device that the text declares; it runs on this one and all newer ones.</summary>
    public const string Target = "sm_80";

    /// <summary>The text as it is stored: no local memory, plain branches, names that depend on nothing but the kernel.</summary>
    /// <exception cref="CompileException">A parameter is not a scalar, or local memory cannot be removed.</exception>
    public static (string Ptx, KernelParameter[] Parameters) Finish(string ptx, string name)
    {
        ptx = ptx.Replace("\r", "");
        ptx = PtxSlots.Remove(ptx);
        // ILGPU takes what comes out of CudaAsm for uniform and writes bra.uni on conditions that differ between lanes.
        ptx = UniformBranch().Replace(ptx, "bra");
        ptx = Regex.Replace(ptx, @"(?m)^\.version .*$", $".version {Version}");
        ptx = Regex.Replace(ptx, @"(?m)^\.target .*$", $".target {Target}");
        ptx = Regex.Replace(ptx, @"(?m)^\.visible \.entry \w+\(", $".visible .entry {name}(");
        ptx = OperandTab().Replace(ptx, "").Replace(" \t", "\t");
        ptx = BlankLines().Replace(ptx, "\n\n").TrimEnd('\n') + "\n";
        ptx = NameParameters(ptx, out KernelParameter[] parameters);
        return (NumberLabels(ptx), parameters);
    }

    /// <summary>Parameter names carry a number of ILGPU's that changes with unrelated code: _keyLengths_2381 becomes _keyLengths.</summary>
    private static string NameParameters(string ptx, out KernelParameter[] parameters)
    {
        List<KernelParameter> list = [];
        int offset = 0;
        foreach (Match m in Parameter().Matches(ptx))
        {
            (string type, int size) = m.Groups["type"].Value switch
            {
                ".b64" => ("long", 8),
                ".b32" => ("int", 4),
                ".f32" => ("float", 4),
                string other => throw new CompileException($"parameter {m.Groups["name"].Value} is {other}, expected long, int or float"),
            };
            offset = (offset + size - 1) / size * size;
            list.Add(new KernelParameter(m.Groups["name"].Value, type, offset, size));
            offset += size;
        }
        parameters = [.. list];
        ptx = Parameter().Replace(ptx, ".param ${type} _${name}");
        return ParameterUse().Replace(ptx, "[_${name}]");
    }

    private static string NumberLabels(string ptx)
    {
        Dictionary<string, string> labels = [];
        return Label().Replace(ptx, m =>
        {
            labels.TryAdd(m.Value, $"L_{labels.Count}");
            return labels[m.Value];
        });
    }

    [GeneratedRegex(@"\bbra\.uni\b")]
    private static partial Regex UniformBranch();

    /// <summary>ILGPU puts a tab before the first operand of CudaAsm, inside its bracket.</summary>
    [GeneratedRegex(@"(?<=[\[{])\t")]
    private static partial Regex OperandTab();

    [GeneratedRegex(@"\n{3,}")]
    private static partial Regex BlankLines();

    [GeneratedRegex(@"\.param (?<type>\.(align \d+ \.)?\w+) _(?<name>\w+)_\d+(?=[\[,\s])")]
    private static partial Regex Parameter();

    [GeneratedRegex(@"\[_(?<name>\w+)_\d+\]")]
    private static partial Regex ParameterUse();

    [GeneratedRegex(@"\bL_\d+\b")]
    private static partial Regex Label();
}
