using System.CommandLine;
using System.Globalization;

namespace AttentionKernels.Cli.Commands;

/// <summary>Options that count something.</summary>
internal static class CountOption
{
    /// <summary>An option that takes a whole number from <paramref name="least"/> on.</summary>
    public static Option<int> Create(string name, string description, int value, int least) => new(name)
    {
        Description = description,
        HelpName = "N",
        DefaultValueFactory = _ => value,
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int count) || count < least)
            {
                result.AddError($"{name} is '{text}', expected a whole number from {least} on.");
            }
            return count;
        },
    };
}
