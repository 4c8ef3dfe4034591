using System.Reflection;

namespace AttentionKernels.Bench.Report;

/// <summary>The commit that this program was built from, which the SDK writes into its version behind a plus sign.</summary>
internal static class GitCommit
{
    /// <summary>The hash, or null if the build had no repository.</summary>
    public static string? Find()
    {
        string version = typeof(GitCommit).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        int plus = version.IndexOf('+', StringComparison.Ordinal);
        return plus < 0 ? null : version[(plus + 1)..];
    }
}
