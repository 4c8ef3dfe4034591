using System.Text.Json;

namespace AttentionKernels.Scenes;

/// <summary>Turns the JSON reader's exception into one sentence: line, place in the document, fault.</summary>
internal static class JsonFault
{
    public static string Describe(JsonException e)
    {
        string place = e.Path is null or "$" ? "" : e.Path.TrimStart('$').TrimStart('.') + ": ";
        string line = e.LineNumber is long number ? $"line {number + 1}, byte {e.BytePositionInLine + 1}: " : "";
        return line + place + Fault(e);
    }

    // The runtime's messages speak of .NET types and repeat the place. One that is not known here is passed on as it is.
    private static string Fault(JsonException e)
    {
        string text = Before(Before(e.Message, " Path: "), " LineNumber: ");
        string cause = e.InnerException?.Message ?? "";
        string[] quoted = text.Split('\'');
        return text switch
        {
            _ when Has(text, "could not be mapped to any .NET member") && quoted.Length > 1 => $"unknown field '{quoted[1]}'",
            _ when Has(text, "Duplicate property") && quoted.Length > 1 => $"field '{quoted[1]}' stands twice",
            _ when Has(text, "missing required properties including:") => $"missing {text[(text.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim().TrimEnd('.')}",
            _ when Has(text, "allow null") => "is null, expected a value",
            _ when Has(cause, "as a string") => "expected a string",
            _ when Has(cause, "Int32") => "expected a whole number",
            _ when Has(cause, "as a number") || Has(cause, "Double") => "expected a number",
            _ when cause.Length > 0 => cause,
            _ when Has(text, "could not be converted to System.Collections.") => "expected a list",
            _ when Has(text, "could not be converted to AttentionKernels.") => "expected an object",
            _ => text,
        };
    }

    private static bool Has(string text, string part) => text.Contains(part, StringComparison.Ordinal);

    private static string Before(string text, string mark)
    {
        int at = text.IndexOf(mark, StringComparison.Ordinal);
        return at < 0 ? text : text[..at];
    }
}
