using AttentionKernels.Scenes;

namespace AttentionKernels.OnnxRuntime.Steering;

/// <remarks>Apart, because the native library takes roles as arrays and has no scenes.</remarks>
public sealed unsafe partial class SteeringRoles
{
    /// <summary>Roles of one scene, B = 1.</summary>
    public static SteeringRoles From(SceneTokens tokens)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        return new SteeringRoles(1, tokens.Modality, tokens.Speakers, tokens.Frames);
    }
}
