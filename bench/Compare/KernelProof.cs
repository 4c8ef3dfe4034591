using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using AttentionKernels.Bench.Nodes;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Steering;

namespace AttentionKernels.Bench.Compare;

/// <summary>Finds out which kernel a node really runs, once for each kind of node, on a short sequence.</summary>
/// <remarks>
/// ONNX Runtime's own profile says which operator ran on which provider; a session of a built-in has no library registered, so its kernel is ONNX Runtime's. Whether
/// that took the tiled (flash) path shows by switching the path off with ONNX Runtime's environment variable: the two paths add in different
/// orders, so other output bits mean that the path had been on.
/// </remarks>
internal sealed partial class KernelProof
{
    private readonly Dictionary<(Side, string), string> _proofs = [];

    /// <summary>What was found, a sentence for each kind of node.</summary>
    public IReadOnlyCollection<string> Sentences => _proofs.Values;

    /// <summary>Whether a node of this kind was checked.</summary>
    public bool Knows(Side side, AttentionNode node) => _proofs.ContainsKey((side, node.Description));

    /// <summary>Checks a node.</summary>
    /// <param name="side">The side that runs it.</param>
    /// <param name="node">The node.</param>
    /// <exception cref="BenchException">Another operator or provider ran.</exception>
    public void Check(Side side, AttentionNode node)
    {
        string kernels = Profile(node);
        string path = side is Side.BuiltInPlain or Side.BuiltInBias or Side.BuiltInDecode ? TiledPath(node) : "";
        if (node.Overridden)
        {
            path = FollowsScope(node);
        }
        _proofs.Add((side, node.Description), $"{side}: {node.Description}: {kernels}{path}");
    }

    private static string Profile(AttentionNode node)
    {
        string folder = Directory.CreateTempSubdirectory("attention-bench").FullName;
        try
        {
            using (NodeSession session = new(node, 1, Path.Combine(folder, "profile")))
            {
                session.Run();
            }
            using JsonDocument profile = JsonDocument.Parse(File.ReadAllBytes(Directory.GetFiles(folder).Single()));
            (string Op, string Provider)[] kernels = [.. profile.RootElement.EnumerateArray()
                .Where(e => e.GetProperty("cat").GetString() == "Node" && e.GetProperty("name").GetString()!.EndsWith("_kernel_time", StringComparison.Ordinal))
                .Select(e => e.GetProperty("args"))
                .Select(a => (a.GetProperty("op_name").GetString()!, a.GetProperty("provider").GetString()!))];
            return kernels is [(string op, "CPUExecutionProvider")] && op == node.Op
                ? $"the profile has one kernel, {op} on CPUExecutionProvider"
                : throw new BenchException($"{node.Description} ran {string.Join(", ", kernels)}, expected one {node.Op} on CPUExecutionProvider");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Only this library's kernels follow a steering scope; reading one that none followed is an error.</summary>
    private static string FollowsScope(AttentionNode node)
    {
        using NodeSession session = new(node, 1);
        using SteeringScope scope = new(new SteeringRoles(1, [0], [0], [0, 0]), new SteeringScopeSettings { Growing = true });
        session.Run();
        return scope.Read() is [_] ? "; it followed a steering scope, so it is this library's" : throw new BenchException($"{node.Description} ran more than one node");
    }

    private static string TiledPath(AttentionNode node)
    {
        string? variable = node.Op switch
        {
            "GroupQueryAttention" => "ORT_GQA_DISABLE_FLASH_ATTENTION",
            "MultiHeadAttention" => "ORT_DISABLE_FLASH_ATTENTION",
            _ => null,
        };
        if (variable == null)
        {
            return "; ONNX Runtime has one path for it, which is not tiled";
        }
        (float[] normal, double normalTime) = FirstOutput(node);
        SetNative(variable, "1");
        try
        {
            (float[] without, double withoutTime) = FirstOutput(node);
            return normal.AsSpan().SequenceEqual(without)
                ? $"; not on the tiled path: {variable}=1 changes no bit"
                : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"; on the tiled path: {variable}=1 changes the bits, and the time by {withoutTime / normalTime:0.00}x");
        }
        finally
        {
            SetNative(variable, "0");
        }
    }

    private static (float[] Output, double Milliseconds) FirstOutput(AttentionNode node)
    {
        using NodeSession session = new(node, 1);
        session.Run();
        long start = Stopwatch.GetTimestamp();
        session.Run();
        double time = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        OrtTensor output = node.Outputs[0]!;
        return (output.Span<float>().ToArray(), time);
    }

    // .NET keeps its own copy of the environment on Unix, which native code does not see.
    private static void SetNative(string name, string value)
    {
        if (OperatingSystem.IsWindows())
        {
            Environment.SetEnvironmentVariable(name, value);
        }
        else if (SetEnv(name, value, 1) != 0)
        {
            throw new BenchException($"the environment variable {name} could not be set");
        }
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);
}
