using System.CommandLine;
using AttentionKernels.Kernels.Compiler;

Option<bool> check = new("--check") { Description = "Write nothing; fail if kernels/ptx differs from what the sources give" };
Option<string?> kernel = new("--kernel") { Description = "Only this kernel (PrefillPlain) or configuration (PrefillPlain_bf16_128)" };
Option<string?> ptxas = new("--ptxas") { Description = "NVIDIA's assembler; otherwise the environment variable PTXAS, or the one on the PATH" };
RootCommand command = new("Compiles the kernels to PTX: kernels/ptx/*.ptx and manifest.json") { check, kernel, ptxas };
command.SetAction(async (result, cancellation) =>
{
    try
    {
        CompilerRun run = new(Ptxas.Find(result.GetValue(ptxas)), Console.Out);
        return await run.RunAsync(result.GetValue(kernel), result.GetValue(check), cancellation) ? 0 : 1;
    }
    catch (CompileException e)
    {
        Console.Error.WriteLine($"error: {e.Message}");
        return 1;
    }
    catch (OperationCanceledException)
    {
        Console.Error.WriteLine("cancelled: nothing was written");
        return 130;
    }
});
return await command.Parse(args).InvokeAsync();
