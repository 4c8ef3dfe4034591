using System.CommandLine;
using AttentionKernels.Cli.Run;

namespace AttentionKernels.Cli.Commands;

/// <summary>attnk run</summary>
internal static class RunCommand
{
    private const string Social = "social";
    private const string None = "none";

    public static Command Create(TextWriter output, TextWriter error)
    {
        Option<string> model = new("--model")
        {
            Description = "The decoder, an .onnx file with com.microsoft GroupQueryAttention nodes as onnxruntime-genai exports it; float32 or float16. 'attnk model' makes one to try.",
            HelpName = "FILE",
            Required = true,
        };
        Option<string> scene = new("--scene") { Description = "The scene, a JSON file. 'attnk import-tvqa' makes one.", HelpName = "FILE", Required = true };
        Option<string> policy = new("--policy")
        {
            Description = "social: steer active heads; none: only measure.",
            HelpName = $"{Social}|{None}",
            DefaultValueFactory = _ => Social,
        };
        policy.AcceptOnlyFromAmong(Social, None);
        Option<string?> tokenizer = new("--tokenizer")
        {
            Description = "Folder with the model's vocab.json and merges.txt (byte-level BPE of Qwen2.5). Default: a built-in tokenizer of words.",
            HelpName = "DIR",
        };
        Option<string?> embeddings = new("--embeds")
        {
            Description = "Embeddings of the scene's tokens, .npy, float32 [tokens, hidden] or [1, tokens, hidden]. Default: synthetic ones, which have no meaning.",
            HelpName = "FILE",
        };
        ToolCommand command = new(
            "run",
            "Runs a scene through a decoder of yours: as it is, measured, and steered, and compares them. The model file stays as it is, and nothing is written without --json.",
            "attnk run --model model.onnx --scene scene.json",
            "attnk run --model model.onnx --scene scene.json --layers 10-19 --alpha 1 --lambda 5e-5 --json out.json",
            "attnk run --model model.onnx --scene scene.json --policy none --tokenizer ./qwen --embeds embeds.npy")
        { model, scene, policy, tokenizer, embeddings };
        SteeringOptions options = new(command);
        command.SetAction((parsed, cancellation) => RunAction.InvokeAsync(
            progress =>
            {
                SceneInput input = SceneInput.Load(parsed.GetRequiredValue(scene));
                progress.Report("reading the model");
                return new RunRequest
                {
                    Model = DecoderModel.Load(parsed.GetRequiredValue(model)),
                    Scene = input,
                    Steering = options.GetSettings(parsed) with { Steer = parsed.GetValue(policy) == Social },
                    TokenizerFolder = parsed.GetValue(tokenizer),
                    EmbeddingsPath = parsed.GetValue(embeddings),
                    BoxRule = options.GetBoxRule(parsed),
                    Threads = options.GetThreads(parsed),
                };
            },
            options.GetJson(parsed),
            output,
            error,
            cancellation));
        return command;
    }
}
