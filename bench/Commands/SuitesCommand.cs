using System.CommandLine;
using BenchmarkDotNet.Running;

namespace AttentionKernels.Bench.Commands;

/// <summary>bench suites</summary>
internal static class SuitesCommand
{
    public static Command Create()
    {
        Argument<string[]> rest = new("arguments") { Description = "BenchmarkDotNet's own, as --list flat, or --filter *Exp*.", Arity = ArgumentArity.ZeroOrMore };
        Command command = new("suites", "Runs BenchmarkDotNet suites of kernels and operators. Without arguments it asks which.") { rest };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction(parsed => BenchmarkSwitcher.FromAssembly(typeof(SuitesCommand).Assembly).Run([.. parsed.GetValue(rest)!, .. parsed.UnmatchedTokens]));
        return command;
    }
}
