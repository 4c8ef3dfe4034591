using AttentionKernels.Bench.Commands;

return await BenchTool.InvokeAsync(args, Console.Out, Console.Error);
