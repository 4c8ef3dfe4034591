using System.Text.Json;

namespace AttentionKernels.Scenes;

/// <summary>Turns the JSON reader's exception into one sentence: line, place in the document, fault.</summary>
internal static class JsonFault
{
    public static string Describe(JsonException e)
    {
        string place = e.Path is null or "$" ? "" : e.Path.TrimStart('$').TrimStart('.') + ": ";
        string line = e.LineNumber is long number ? $"line {number + 1}, byte {e.BytePositionInLine + 1}: " : "";
        return line + place + Fault(e.Message);
    }

    // The runtime's messages speak of .NET types and repeat the place; a message that has changed is passed on as it is.
    private static string Fault(string message)
    {
        string text = Before(Before(message, " Path: "), " LineNumber: ");
        string[] quoted = text.Split('\'');
        if (text.Contains("could not be mapped to any .NET member", StringComparison.Ordinal) && quoted.Length > 1)
        {
            return $"unknown field '{quoted[1]}'";
        }
        if (text.Contains("missing required properties", StringComparison.Ordinal))
        {
            int colon = text.IndexOf("including:", StringComparison.Ordinal);
            return colon < 0 ? text : $"missing {text[(colon + "including:".Length)..].Trim().TrimEnd('.')}";
        }
        if (text.Contains("could not be converted to System.", StringComparison.Ordinal))
        {
            return text.Contains("System.String", StringComparison.Ordinal) ? "expected a string"
                : text.Contains("System.Int32", StringComparison.Ordinal) ? "expected a whole number"
                : text.Contains("System.Double", StringComparison.Ordinal) ? "expected a number"
                : "expected a list";
        }
        if (text.Contains("could not be converted to AttentionKernels.", StringComparison.Ordinal))
        {
            return "expected an object";
        }
        return text;
    }

    private static string Before(string text, string mark)
    {
        int at = text.IndexOf(mark, StringComparison.Ordinal);
        return at < 0 ? text : text[..at];
    }
}
