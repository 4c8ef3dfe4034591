namespace AttentionKernels.Tests.Native;

/// <summary>The dotnet command that runs these tests.</summary>
internal static class DotnetCommand
{
    /// <summary>Runs it as a build of its own, with <paramref name="environment"/> added to this process's.</summary>
    public static ChildProcess Run(string[] arguments, params (string Name, string Value)[] environment) =>
        ChildProcess.Run(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", arguments, variables =>
        {
            // What the outer build tells its own processes would send this one to the wrong tasks.
            foreach (string name in variables.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
            {
                variables.Remove(name);
            }
            // A process that stays behind would keep the pipes of its output open.
            variables["MSBUILDDISABLENODEREUSE"] = "1";
            variables["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
            foreach ((string name, string value) in environment)
            {
                variables[name] = value;
            }
        });
}
