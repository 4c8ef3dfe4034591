using AttentionKernels.Cli;

namespace AttentionKernels.Tests.Cli;

/// <summary>Parsing, help, exit codes and what becomes of errors.</summary>
public sealed class ToolTests
{
    [Theory]
    [InlineData("demo --bogus", "'--bogus'")]
    [InlineData("dmo", "'dmo'")]
    [InlineData("run", "'--model' is required")]
    [InlineData("run --model m --scene s --policy loud", "'loud'")]
    [InlineData("demo --alpha nan", "--alpha is 'nan', expected a finite number")]
    [InlineData("demo --lambda x", "--lambda is 'x', expected a number")]
    [InlineData("demo --layers 9-3", "ends before it starts")]
    [InlineData("demo --threads -1", "--threads is '-1', expected a whole number from 0 on")]
    [InlineData("demo --box-rule area:2", "--box-rule is 'area:2', expected any, centre, or area:N")]
    [InlineData("import-tvqa --annotations a --out o", "--qid and --clip")]
    [InlineData("import-tvqa --annotations a --out o --qid 1 --frames 0", "--frames is '0', expected a whole number from 1 on")]
    [InlineData("conformance", "Required argument 'folder' missing")]
    [InlineData("conformance d --override --no-override", "--override and --no-override exclude each other")]
    [InlineData("conformance d --rtol x", "--rtol is 'x', expected a number from 0 on")]
    [InlineData("model --out m --layers 0", "--layers is '0'")]
    public void A_Wrong_Command_Line_Is_A_Usage_Error_With_A_Sentence(string line, string expected)
    {
        ToolRun run = ToolRun.Of(line.Split(' '));
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        Assert.Contains("--help'.", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }

    [Fact]
    public void Without_Arguments_The_Help_Is_Shown_And_Nothing_Succeeded()
    {
        ToolRun run = ToolRun.Of();
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains("attnk demo", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("demo")]
    [InlineData("run")]
    [InlineData("scene")]
    [InlineData("import-tvqa")]
    [InlineData("model")]
    [InlineData("doctor")]
    [InlineData("conformance")]
    public void Every_Command_Has_Help_With_An_Example(string command)
    {
        ToolRun run = ToolRun.Of(command, "--help");
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        Assert.Contains($"Examples:{Environment.NewLine}  attnk {command}", run.Output, StringComparison.Ordinal);
        Assert.Contains(command, ToolRun.Of("--help").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("scene absent.json", "absent.json")]
    [InlineData("run --model absent.onnx --scene absent.json", "absent.json")]
    [InlineData("import-tvqa --annotations absent.json --qid 1 --out out.json", "absent.json")]
    [InlineData("model --out absent/m.onnx --layers 1 --hidden 64 --head-size 32 --heads 2 --kv-heads 1", "absent/m.onnx")]
    [InlineData("model --out m.onnx --heads 3 --kv-heads 2", "KvHeads")]
    public void A_Failure_Is_One_Sentence_And_With_Verbose_The_Exception(string line, string expected)
    {
        ToolRun run = ToolRun.Of(line.Split(' '));
        Assert.Equal((ExitCode.Failure, ""), (run.Code, run.Output));
        string sentence = run.Error.TrimEnd().Split('\n')[^1];
        Assert.StartsWith("attnk: ", sentence, StringComparison.Ordinal);
        Assert.Contains(expected, sentence, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Error, StringComparison.Ordinal);

        Assert.Contains("   at AttentionKernels.", ToolRun.Of([.. line.Split(' '), "--verbose"]).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_Error_Of_Several_Lines_Becomes_One() =>
        Assert.Equal("the first the second", FaultText.Describe(new IOException("the first\r\n\n  the second\n")));

    [Fact]
    public void An_Unforeseen_Exception_Says_What_It_Is() =>
        Assert.StartsWith("unexpected InvalidOperationException: oh", FaultText.Describe(new InvalidOperationException("oh")), StringComparison.Ordinal);
}
