using System.Text;
using AttentionKernels.Cli;

// Names and arrows; on Windows the console's own code page may have neither.
Console.OutputEncoding = Encoding.UTF8;
return await Tool.InvokeAsync(args, Console.Out, Console.Error);
