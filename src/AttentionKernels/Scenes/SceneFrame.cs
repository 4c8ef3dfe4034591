namespace AttentionKernels.Scenes;

/// <summary>One of the frames that the model sees, with everybody who is visible in it.</summary>
/// <param name="Time">Seconds from the start of the video; later than the frame before.</param>
/// <param name="Boxes">Boxes of the visible people; they may overlap, and a person may have several.</param>
public sealed record SceneFrame(double Time, IReadOnlyList<SpeakerBox> Boxes);
