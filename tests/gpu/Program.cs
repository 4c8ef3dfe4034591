using AttentionKernels.GpuCheck;

return await GpuCheckTool.InvokeAsync(args, Console.Out, Console.Error);
