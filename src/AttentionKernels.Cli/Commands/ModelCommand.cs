using System.CommandLine;
using AttentionKernels.Cli.Report;
using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;
using Google.Protobuf;

namespace AttentionKernels.Cli.Commands;

/// <summary>attnk model</summary>
internal static class ModelCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        Option<string> path = new("--out") { Description = "The .onnx file to write, over what is there.", HelpName = "FILE", Required = true };
        Option<int> layers = CountOption.Create("--layers", "Layers.", DecoderConfig.Demo.Layers, least: 1);
        Option<int> hidden = CountOption.Create("--hidden", "Size of an embedding.", DecoderConfig.Demo.Hidden, least: 1);
        Option<int> heads = CountOption.Create("--heads", "Query heads.", DecoderConfig.Demo.Heads, least: 1);
        Option<int> kvHeads = CountOption.Create("--kv-heads", "Heads of keys and values.", DecoderConfig.Demo.KvHeads, least: 1);
        Option<int> headSize = CountOption.Create("--head-size", "Size of a head.", DecoderConfig.Demo.HeadSize, least: 1);
        Option<int> intermediate = CountOption.Create("--intermediate", "Size inside the feed-forward block.", DecoderConfig.Demo.Intermediate, least: 1);
        Option<int> vocabulary = CountOption.Create("--vocabulary", "Tokens that the logits tell apart.", DecoderConfig.Demo.Vocabulary, least: 1);
        Option<ulong> seed = new("--seed") { Description = "Everything random follows from it.", HelpName = "N", DefaultValueFactory = _ => DecoderConfig.Demo.Seed };
        Option<bool> half = new("--float16") { Description = "Weights, embeddings, logits and cache in float16." };
        ToolCommand command = new(
            "model",
            "Writes the demo's decoder, or one of other sizes, to a file for 'attnk run'. Its graph is that of Qwen2.5-VL's text model as onnxruntime-genai exports it; "
            + "its weights are random, so it shows the mechanism, not language.",
            "attnk model --out demo.onnx",
            "attnk model --out small.onnx --layers 4 --hidden 128 --heads 4 --kv-heads 2 --head-size 32 --float16")
        { path, layers, hidden, heads, kvHeads, headSize, intermediate, vocabulary, seed, half };
        command.SetAction(parsed =>
        {
            DecoderConfig config = DecoderConfig.Demo with
            {
                Layers = parsed.GetValue(layers),
                Hidden = parsed.GetValue(hidden),
                Heads = parsed.GetValue(heads),
                KvHeads = parsed.GetValue(kvHeads),
                HeadSize = parsed.GetValue(headSize),
                Intermediate = parsed.GetValue(intermediate),
                Vocabulary = parsed.GetValue(vocabulary),
                Seed = parsed.GetValue(seed),
                Type = parsed.GetValue(half) ? ElementType.Float16 : ElementType.Float32,
            };
            config.Check();
            string file = parsed.GetRequiredValue(path);
            long size = ProgressDisplay.Run(error, progress =>
            {
                progress.Report($"generating {(double)config.Parameters / 1e6:0.#} M random parameters");
                byte[] bytes = GeneratedDecoder.Build(config).ToByteArray();
                OnnxFile.Save(bytes, file);
                return bytes.LongLength;
            });
            output.WriteLine($"{file}: {size / 1e6:0.#} MB, {config.Layers} layers of {config.Heads} heads, random weights.");
            output.WriteLine($"Next: attnk run --model {file} --scene SCENE.json");
            return ExitCode.Success;
        });
        return command;
    }
}
