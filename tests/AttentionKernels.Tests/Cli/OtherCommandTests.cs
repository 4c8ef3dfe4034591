using System.Diagnostics;
using AttentionKernels.Cli;
using AttentionKernels.Cli.Doctor;
using AttentionKernels.Cli.Run;
using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Cli;

/// <summary>attnk model, scene, import-tvqa, doctor and demo.</summary>
public sealed class OtherCommandTests : IDisposable
{
    private static readonly string[] SmallModel =
        ["--layers", "2", "--hidden", "64", "--heads", "2", "--kv-heads", "1", "--head-size", "32", "--intermediate", "32", "--vocabulary", "11", "--seed", "5"];

    private readonly RunFiles _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public void A_Written_Model_Is_The_Generated_One_And_Knows_Its_Configuration()
    {
        ToolRun run = ToolRun.Of(["model", "--out", _files.Model, .. SmallModel, "--float16"]);
        Assert.Equal(ExitCode.Success, run.Code);
        Assert.Contains("random weights", run.Output, StringComparison.Ordinal);
        DecoderConfig config = DecoderConfig.Demo with
        {
            Layers = 2,
            Hidden = 64,
            Heads = 2,
            KvHeads = 1,
            HeadSize = 32,
            Intermediate = 32,
            Vocabulary = 11,
            Seed = 5,
            Type = ElementType.Float16,
        };
        DecoderModel model = DecoderModel.Load(_files.Model);
        Assert.Equal(config, model.Generated);
        Assert.Equal((2, 2L, 1L), (model.Layers, model.Heads, model.KvHeads));
        Assert.Equal(GeneratedDecoder.Build(config), OnnxFile.Load(_files.Model));
        Assert.Equal(["model.onnx", "scene.json"], Directory.GetFiles(_files.Folder).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_Scene_Is_Shown_With_Its_People_And_Tokens()
    {
        ToolRun run = ToolRun.Of("scene", _files.ScenePath);
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        Assert.Contains($"{RunFiles.Tokens.Length} tokens", run.Output, StringComparison.Ordinal);
        Assert.Matches(@"Ann +1 +\d+ +\d+", run.Output);
        Assert.NotEqual(run.Output, ToolRun.Of("scene", _files.ScenePath, "--box-rule", "area:0.9").Output);
    }

    [Fact]
    public void An_Imported_Clip_Runs()
    {
        string annotations = Path.Combine(_files.Folder, "questions.json");
        File.WriteAllText(annotations, """
            [{"qid": 3, "vid_name": "clip", "q": "What does Penny give Raj ?", "ts": [0, 2],
              "a0": "Penny gives Raj a cup .", "a1": "A hat .", "a2": "A book .", "a3": "A ring .", "a4": "Nothing .",
              "bbox": {"1": [{"img_id": 1, "label": "Penny", "left": 40, "top": 20, "width": 200, "height": 330},
                             {"img_id": 1, "label": "Raj", "left": 380, "top": 20, "width": 200, "height": 330}]}}]
            """);
        string scene = Path.Combine(_files.Folder, "imported.json");
        ToolRun import = ToolRun.Of("import-tvqa", "--annotations", annotations, "--qid", "3", "--out", scene);
        Assert.Equal((ExitCode.Success, ""), (import.Code, import.Error));
        Assert.Contains("question 3 about clip, 1 frames, 4 lines, people: Penny, Raj.", import.Output, StringComparison.Ordinal);
        Assert.Contains("Note: The file has no dialogue", import.Output, StringComparison.Ordinal);
        Assert.Contains($"Next: attnk scene {scene}, then attnk run", import.Output, StringComparison.Ordinal);
        RunsOnASmallModel(scene, "Penny, Raj");

        Assert.Contains("no question 4", ToolRun.Of("import-tvqa", "--annotations", annotations, "--qid", "4", "--out", scene).Error, StringComparison.Ordinal);
    }

    /// <summary>Runs only where a copy of the published file lies beside the checkout: it is not part of this repository.</summary>
    [Fact]
    public void A_Published_Clip_Runs_Where_There_Is_One()
    {
        if (FindPublished() is not string annotations)
        {
            return;
        }
        string scene = Path.Combine(_files.Folder, "imported.json");
        Assert.Equal(ExitCode.Success, ToolRun.Of("import-tvqa", "--annotations", annotations, "--clip", "s01e02_seg02_clip_12", "--frames", "2", "--out", scene).Code);
        RunsOnASmallModel(scene, "Raj");
    }

    [Fact]
    public void The_Doctor_Finds_A_Machine_That_Works()
    {
        ToolRun run = ToolRun.Of("doctor");
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        Assert.Contains($"{OrtApi.Default.Version} at", run.Output, StringComparison.Ordinal);
        Assert.Contains(InstructionSets.Current.ToString().ToLowerInvariant(), run.Output, StringComparison.Ordinal);
        Assert.Contains("registers, and a model of one node gives the right result", run.Output, StringComparison.Ordinal);
        Assert.Contains("CPUExecutionProvider", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("FAIL", run.Output, StringComparison.Ordinal);
        Assert.Single(Examination.Run(), finding => finding.Subject == "CUDA driver" && finding.Verdict != Verdict.Broken);
    }

    [Theory]
    [InlineData("ATTNK_ISA", "mmx", "Instruction set", "unset ATTNK_ISA, or set it to one of portable")]
    [InlineData("ATTNK_ONNXRUNTIME", "absent.so", "ONNX Runtime", "What to do: ")]
    public async Task The_Doctor_Fails_Where_The_Cpu_Path_Cannot_Work(string variable, string value, string subject, string remedy)
    {
        // What a process has found stays with it, so this takes another one.
        ProcessStartInfo start = new("dotnet", [Path.Combine(AppContext.BaseDirectory, "attnk.dll"), "doctor"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[variable] = value;
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(ExitCode.Failure, process.ExitCode);
        Assert.Matches($"FAIL +{subject}", output);
        Assert.Contains(remedy, output.ReplaceLineEndings(" "), StringComparison.Ordinal);
        Assert.StartsWith("attnk: the CPU path cannot work: ", await error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_Shipped_Scene_Fits_Its_Model_And_The_Demo_Can_Be_Cancelled()
    {
        SceneInput scene = SceneInput.Shipped();
        Assert.Equal("four-friends", scene.Name);
        Assert.Equal(4, scene.Scene.Speakers.Count);
        using CancellationTokenSource source = new();
        source.Cancel();
        Assert.Equal(ExitCode.Cancelled, ToolRun.Of(source.Token, "demo").Code);
    }

    private static string? FindPublished()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
        {
            string path = Path.Combine(folder.FullName, "shared", "data", "tvqa-plus", "tvqa_plus_val.json");
            if (File.Exists(path))
            {
                return path;
            }
        }
        return null;
    }

    private void RunsOnASmallModel(string scene, string people)
    {
        Assert.Equal(ExitCode.Success, ToolRun.Of(["model", "--out", _files.Model, .. SmallModel]).Code);
        ToolRun run = ToolRun.Of("run", "--model", _files.Model, "--scene", scene, "--layers", "all", "--lambda", "0");
        Assert.Equal(ExitCode.Success, run.Code);
        Assert.Contains(people, run.Output, StringComparison.Ordinal);
        Assert.Contains("2 / 2", run.Output, StringComparison.Ordinal);
        Assert.Contains("only rounding", run.Words, StringComparison.Ordinal);
    }
}
