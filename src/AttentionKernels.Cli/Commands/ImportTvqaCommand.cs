using System.CommandLine;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Commands;

/// <summary>attnk import-tvqa</summary>
internal static class ImportTvqaCommand
{
    public static Command Create(TextWriter output)
    {
        Option<string> annotations = new("--annotations")
        {
            Description = "The annotation file, such as tvqa_plus_val.json (github.com/jayleicn/TVQAplus).",
            HelpName = "FILE",
            Required = true,
        };
        Option<int?> question = new("--qid") { Description = "Number of the question.", HelpName = "N" };
        Option<string?> clip = new("--clip") { Description = "Name of the clip, such as s01e02_seg02_clip_12: its first question.", HelpName = "NAME" };
        Option<int> frames = CountOption.Create("--frames", "Annotated frames to take, spread evenly.", new TvqaPlusRequest().FrameCount, least: 1);
        Option<string?> subtitles = new("--subtitles")
        {
            Description = "Subtitles of the clip (.srt), whose named lines become the transcript. Default: the question and the answers stand in for it.",
            HelpName = "FILE",
        };
        Option<string> scene = new("--out") { Description = "The scene file to write, over what is there.", HelpName = "FILE", Required = true };
        ToolCommand command = new(
            "import-tvqa",
            "Makes a scene from a question of TVQA+: boxes of the named characters in up to 8 frames, and the words.",
            "attnk import-tvqa --annotations tvqa_plus_val.json --qid 135 --out scene.json",
            "attnk import-tvqa --annotations tvqa_plus_val.json --clip s01e02_seg02_clip_12 --subtitles clip.srt --out scene.json")
        { annotations, question, clip, frames, subtitles, scene };
        command.Validators.Add(result =>
        {
            if (result.GetResult(question) == null && result.GetResult(clip) == null)
            {
                result.AddError("One of --qid and --clip is required.");
            }
        });
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(scene);
            TvqaPlusImport import = TvqaPlusImporter.Load(parsed.GetRequiredValue(annotations), new TvqaPlusRequest
            {
                QuestionId = parsed.GetValue(question),
                VideoName = parsed.GetValue(clip),
                FrameCount = parsed.GetValue(frames),
                SubtitlePath = parsed.GetValue(subtitles),
            });
            import.Scene.Save(path);
            output.WriteLine(
                $"{path}: question {import.QuestionId} about {import.VideoName}, {import.Scene.Frames.Count} frames, {import.Scene.Lines.Count} lines, people: {string.Join(", ", import.Scene.Speakers)}.");
            foreach (string note in import.Notes)
            {
                output.WriteLine($"Note: {note}");
            }
            output.WriteLine($"Next: attnk scene {path}, then attnk run --model MODEL.onnx --scene {path} (attnk model --out MODEL.onnx makes a model to try).");
            return ExitCode.Success;
        });
        return command;
    }
}
