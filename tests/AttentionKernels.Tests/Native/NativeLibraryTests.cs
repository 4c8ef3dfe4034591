using System.Text.RegularExpressions;
using AttentionKernels.Cpu;

namespace AttentionKernels.Tests.Native;

/// <summary>The file libattention_kernels.so, its header, and what it does on which processor.</summary>
[Collection(NativeCollection.Name)]
public sealed partial class NativeLibraryTests(NativeBuild build)
{
    private static readonly string Header = Path.Combine(NativeBuild.Sources, "include", "attention_kernels.h");

    /// <summary>The header's functions and nothing else.</summary>
    [Fact]
    public void It_Exports_The_Functions_Of_The_Header_And_No_Other()
    {
        string[] declared = [.. Declaration().Matches(File.ReadAllText(Header)).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal)];
        string[] exported = [.. ChildProcess.Run("nm", "-D", "--defined-only", build.Library).Succeeded().Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[^1]).Order(StringComparer.Ordinal)];
        Assert.Equal(17, declared.Length);
        Assert.Equal(declared, exported);
    }

    /// <summary>ONNX Runtime comes from the host, and .NET from nowhere.</summary>
    [Fact]
    public void It_Needs_Only_The_C_Library_And_Stays_Loaded()
    {
        string dynamic = ChildProcess.Run("readelf", "-dW", build.Library).Succeeded().Output;
        Assert.Equal(["ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6"], Needed().Matches(dynamic).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal));
        Assert.Matches("FLAGS_1.*NODELETE", dynamic);
        Assert.DoesNotContain("RUNPATH", dynamic, StringComparison.Ordinal);
        Assert.DoesNotContain("TEXTREL", dynamic, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("c", "c11")]
    [InlineData("c", "c17")]
    [InlineData("c++", "c++17")]
    [InlineData("c++", "c++20")]
    public void The_Header_Compiles_Alone_Without_A_Warning(string language, string standard)
    {
        string source = build.File("header." + language);
        File.WriteAllText(source, "#include \"attention_kernels.h\"\n#include \"attention_kernels.h\"\n");
        string[] arguments = ["-x", language, $"-std={standard}", "-pedantic-errors", "-Wconversion", "-fsyntax-only", source];
        if (language == "c++" && ChildProcess.Run(build.Compiler, "-print-prog-name=cc1plus").Output.Trim() == "cc1plus")
        {
            Assert.Fail($"{build.Compiler} has no C++ compiler: install g++ to run this test");
        }
        build.Compile(arguments).Succeeded();
    }

    /// <summary>Each image in turn, each from another compilation, finds the same scores; an instruction set that the processor lacks is an error, not the end of the process.</summary>
    [Theory]
    [InlineData("portable", InstructionSet.Portable)]
    [InlineData("avx2", InstructionSet.Avx2)]
    [InlineData("avx512", InstructionSet.Avx512)]
    public void Every_Instruction_Set_Steers_Alike(string name, InstructionSet set)
    {
        ChildProcess run = ChildProcess.RunBare(build.Example, [NativeBuild.OnnxRuntime, build.Library, build.TwoLayers], (InstructionSets.Variable, name));
        if (!InstructionSets.IsSupported(set))
        {
            Assert.Contains($"ATTNK_ISA is '{name}', which this processor does not have", run.Error, StringComparison.Ordinal);
            Assert.Equal(1, run.Code);
            return;
        }
        double[] expected = Scores(ChildProcess.RunBare(build.Example, [NativeBuild.OnnxRuntime, build.Library, build.TwoLayers])), found = Scores(run);
        Assert.Equal(8, found.Length);
        // Printed with four digits; the sets differ by roundings of float32.
        Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 2e-3 * pair.First));
    }

    [Fact]
    public void A_Processor_That_Is_Too_Old_Gets_Errors()
    {
        string program = build.File("too_old");
        build.Compile(
            "-std=c11", "-DATTENTION_KERNELS_VERSION=\"1\"", NativeBuild.TestSource("too_old"), Path.Combine(NativeBuild.Sources, "AttentionKernels.Native", "entry.c"),
            "-o", program, "-pthread").Succeeded();
        ChildProcess.Run(program).Succeeded();
    }

    /// <summary>Nothing of the machine that built it is left in it.</summary>
    [Fact]
    public void It_Names_No_Path_Of_The_Build() =>
        Assert.Equal(-1, File.ReadAllBytes(build.Library).AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(NativeBuild.Root)));

    private static double[] Scores(ChildProcess run) =>
        [.. Score().Matches(run.Succeeded().Output).Select(match => double.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture))];

    [GeneratedRegex(@"^ATTENTION_KERNELS_EXPORT .*?(\w+)\(", RegexOptions.Multiline)]
    private static partial Regex Declaration();

    [GeneratedRegex(@"NEEDED.*\[(.*)\]")]
    private static partial Regex Needed();

    [GeneratedRegex(@"score (\S+),")]
    private static partial Regex Score();
}
