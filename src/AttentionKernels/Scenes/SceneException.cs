namespace AttentionKernels.Scenes;

/// <summary>
/// A scene, an annotation file or a subtitle file cannot be used. The message names the place, what stands there and what was expected, and is
/// meant to be shown to the user as it is.
/// </summary>
public sealed class SceneException : Exception
{
    /// <summary>Creates the exception from one sentence that names the place and the fault.</summary>
    public SceneException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception from one sentence and the error that led to it.</summary>
    public SceneException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
