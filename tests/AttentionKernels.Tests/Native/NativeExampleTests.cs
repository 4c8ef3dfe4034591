using System.Text.Json;

namespace AttentionKernels.Tests.Native;

/// <summary>The examples in native/examples.</summary>
[Collection(NativeCollection.Name)]
public sealed class NativeExampleTests(NativeBuild build)
{
    private static readonly string Examples = Path.Combine(NativeBuild.Sources, "examples");

    /// <summary>Nothing is in the environment, so that neither a .NET runtime nor any other program can be found.</summary>
    [Fact]
    public void The_C_Example_Runs_A_Steered_Model_In_An_Empty_Environment()
    {
        ChildProcess run = ChildProcess.RunBare(build.Example, [NativeBuild.OnnxRuntime, build.Library, build.TwoLayers]).Succeeded();
        Assert.Contains("layer 1 (/model/layers.1/attn/GroupQueryAttention)", run.Output, StringComparison.Ordinal);
        Assert.Matches(@"2 layers steered, largest change of a logit [1-9]\.\d{3}e", run.Output);
        Assert.Equal("", run.Error);
    }

    [Fact]
    public void The_C_Example_Says_What_Is_Wrong()
    {
        Assert.Equal(2, ChildProcess.RunBare(build.Example, []).Code);
        Assert.Contains("missing.so", ChildProcess.RunBare(build.Example, [NativeBuild.OnnxRuntime, "/missing.so", build.TwoLayers]).Error, StringComparison.Ordinal);
        ChildProcess noModel = ChildProcess.RunBare(build.Example, [NativeBuild.OnnxRuntime, build.Library, build.File("missing.onnx")]);
        Assert.Equal(1, noModel.Code);
        Assert.Contains("missing.onnx", noModel.Error, StringComparison.Ordinal);
    }

    /// <summary>
    /// Memory errors and leaks under valgrind where it is installed, else memory errors with the program's own C compiled with AddressSanitizer. Suppressed is what ld.so and
    /// ONNX Runtime do by themselves. Valgrind has no AVX-512, so that this is the AVX2 image.
    /// </summary>
    [Theory]
    [InlineData("steered_run")]
    [InlineData("misuse")]
    public void C_Programs_Make_No_Memory_Error(string name)
    {
        string[] arguments = name == "misuse" ? [] : [NativeBuild.OnnxRuntime, build.Library, build.TwoLayers];
        if (ChildProcess.Find("valgrind") is string valgrind)
        {
            string suppressions = Path.Combine(NativeBuild.Root, "tests", "AttentionKernels.Tests", "Native", "valgrind.supp");
            string program = name == "misuse" ? build.Linked(name) : build.Example;
            ChildProcess.Run(valgrind, [
                "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite", "--show-leak-kinds=definite", $"--suppressions={suppressions}", program, .. arguments]).Succeeded();
            return;
        }
        string sanitized = build.File(name + "-sanitized");
        string source = name == "misuse" ? NativeBuild.TestSource(name) : Path.Combine(Examples, "c", "steered_run.c");
        build.Compile(
            "-std=c11", "-D_DEFAULT_SOURCE", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", source, Path.Combine(Examples, "c", "decoder.c"), build.Library,
            $"-Wl,-rpath,{Path.GetDirectoryName(build.Library)}", "-o", sanitized, "-pthread", "-ldl", "-lm").Succeeded();
        // Leaks are not looked for: it takes what the .NET heap alone points to for leaked.
        ChildProcess.Run(sanitized, arguments, variables => variables["ASAN_OPTIONS"] = "detect_leaks=0").Succeeded();
    }

    /// <summary>The module's part that needs no ONNX Runtime; the rest of the example needs Python's package of it.</summary>
    [Fact]
    public void The_Python_Module_Drives_Scopes()
    {
        string python = ChildProcess.Find("python3") ?? throw new InvalidOperationException("python3 is not in PATH: install it to run this test");
        string script = Path.Combine(NativeBuild.Root, "tests", "AttentionKernels.Tests", "Native", "check_python.py");
        Assert.Equal("ok", ChildProcess.Run(python, "-B", script, Path.Combine(Examples, "python"), build.Library).Succeeded().Output.Trim());
        ChildProcess.Run(python, "-B", "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())", Path.Combine(Examples, "python", "steered_run.py")).Succeeded();
    }

    /// <summary>The fragments name the library and the switch as they are called.</summary>
    [Fact]
    public void The_Fragments_Name_The_Library_And_The_Switch()
    {
        using JsonDocument genai = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Examples, "genai", "genai_config.json")));
        JsonElement options = genai.RootElement.GetProperty("model").GetProperty("decoder").GetProperty("session_options");
        Assert.Equal(Path.GetFileName(build.Library), options.GetProperty("custom_ops_library").GetString());
        Assert.Equal("GroupQueryAttention", options.GetProperty("attention_kernels.override").GetString());
        string triton = File.ReadAllText(Path.Combine(Examples, "triton", "config.pbtxt"));
        Assert.Contains($"/{Path.GetFileName(build.Library)}\"", triton, StringComparison.Ordinal);
        Assert.Contains("ATTENTION_KERNELS_OVERRIDE=GroupQueryAttention", triton, StringComparison.Ordinal);
    }
}
