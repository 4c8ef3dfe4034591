using System.CommandLine;
using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Cli.Commands;

/// <summary>attnk demo</summary>
internal static class DemoCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        ToolCommand command = new(
            "demo",
            "Runs the shipped scene (four people, invented) through a generated decoder: with ONNX Runtime's own attention, measured, and steered. "
            + "The decoder's weights are random, so it shows the mechanism, not language. Nothing is written without --json.",
            "attnk demo",
            "attnk demo --alpha 0.5 --lambda 1e-4 --layers 3-10",
            "attnk demo --threads 1 --json demo.json");
        SteeringOptions options = new(command);
        command.SetAction((parsed, cancellation) => RunAction.InvokeAsync(
            progress =>
            {
                progress.Report($"generating a decoder with random weights ({(double)DecoderConfig.Demo.Parameters / 1e6:0} M parameters)");
                return new RunRequest
                {
                    Model = DecoderModel.Generate(DecoderConfig.Demo),
                    Scene = SceneInput.Shipped(),
                    Steering = options.GetSettings(parsed),
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
