using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli;

/// <summary>Exceptions as one sentence for the user.</summary>
internal static class FaultText
{
    /// <summary>The sentence, on one line.</summary>
    public static string Describe(Exception e)
    {
        string text = e switch
        {
            RunException or SceneException or OnnxModelException or IOException or UnauthorizedAccessException or PlatformNotSupportedException => e.Message,
            OrtException => $"ONNX Runtime: {e.Message}",
            // A fault of the tool, for whose report the details are needed.
            _ => $"unexpected {e.GetType().Name}: {e.Message} (run again with --verbose for details)",
        };
        return string.Join(' ', text.Split((char[])['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
    }
}
