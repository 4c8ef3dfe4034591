namespace AttentionKernels.Scenes;

/// <summary>Which question of a TVQA+ file to import, and how.</summary>
public sealed record TvqaPlusRequest
{
    /// <summary>Number of the question; null: the first question about <see cref="VideoName"/>.</summary>
    public int? QuestionId { get; init; }

    /// <summary>Name of the clip, such as <c>s01e02_seg02_clip_12</c>; null: whichever clip the question is about.</summary>
    public string? VideoName { get; init; }

    /// <summary>Annotated frames to take, spread evenly, first and last included.</summary>
    public int FrameCount { get; init; } = 8;

    /// <summary>Subtitle file (.srt) of the clip, in the clip's own time; null: no dialogue.</summary>
    public string? SubtitlePath { get; init; }
}
