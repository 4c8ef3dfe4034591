using System.CommandLine;
using AttentionKernels.Cli.Report;
using AttentionKernels.Cli.Run;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Commands;

/// <summary>attnk scene</summary>
internal static class SceneCommand
{
    public static Command Create(TextWriter output)
    {
        Argument<string> scene = new("scene") { Description = "The scene, a JSON file." };
        Option<BoxRule> boxRule = new("--box-rule")
        {
            Description = "When a visual token belongs to a box: any, centre, or area:0.5.",
            HelpName = "any|centre|area:N",
            DefaultValueFactory = _ => BoxRule.AnyOverlap,
            CustomParser = SteeringOptions.ParseBoxRule,
        };
        ToolCommand command = new(
            "scene",
            "Checks a scene and shows its people and the tokens that they become in Qwen2.5-VL's layout.",
            "attnk scene scene.json --box-rule centre")
        { scene, boxRule };
        command.SetAction(parsed =>
        {
            SceneInput input = SceneInput.Load(parsed.GetRequiredValue(scene));
            SceneTokens tokens = SceneRunner.LayOut(input.Scene, tokenizerFolder: null, parsed.GetValue(boxRule));
            Consoles.Write(output, console => RunReportText.WriteScene(console, SceneReport.Of(input, tokens)));
            return ExitCode.Success;
        });
        return command;
    }
}
