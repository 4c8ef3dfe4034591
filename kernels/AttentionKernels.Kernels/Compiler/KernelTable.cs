using System.Reflection;
using AttentionKernels.Kernels.Device;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>Every configuration of every kernel. A new kernel is a static method in a file of <c>Kernels/</c> and a row here.</summary>
internal static class KernelTable
{
    private static readonly (string Name, Type Type)[] Elements = [("f16", typeof(Float16)), ("bf16", typeof(BFloat16)), ("f32", typeof(Float32))];

    private static readonly (int Size, Type Type)[] Heads = [(64, typeof(Head64)), (80, typeof(Head80)), (96, typeof(Head96)), (128, typeof(Head128))];

    /// <summary>All configurations, in the order of the manifest.</summary>
    public static KernelConfiguration[] All { get; } =
    [
        .. from element in Elements.Take(2)
           from head in Heads
           select new KernelConfiguration
           {
               Kernel = "PrefillPlain",
               Method = Method(typeof(PrefillPlainKernel), element.Type, head.Type),
               ElementType = element.Name,
               HeadSize = head.Size,
               Threads = 128,
               MinBlocks = 2,
               MaxRegisters = 255,
               DynamicSharedBytes = PrefillPlainKernel.SharedBytes(head.Size),
               Rows = PrefillPlainKernel.Rows,
               Keys = 32,
           },
        .. from element in Elements
           select new KernelConfiguration
           {
               Kernel = "DecodeCombine",
               Method = Method(typeof(DecodeCombineKernel), element.Type),
               ElementType = element.Name,
               Threads = 128,
               MaxRegisters = 64,
           },
    ];

    private static MethodInfo Method(Type kernel, params Type[] arguments) => kernel.GetMethod("Run")!.MakeGenericMethod(arguments);
}
