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
               Threads = PrefillPlainKernel.Threads,
               MinBlocks = 2,
               DynamicSharedBytes = PrefillPlainKernel.SharedBytes(head.Size),
               Rows = PrefillPlainKernel.Rows,
               Keys = PrefillPlainKernel.Keys,
               MaxRegisters = 255,
           },
        .. from element in Elements.Take(2)
           from head in Heads
           select new KernelConfiguration
           {
               Kernel = "PrefillClasses",
               Method = Method(typeof(PrefillClassesKernel), element.Type, head.Type),
               ElementType = element.Name,
               HeadSize = head.Size,
               Threads = PrefillClassesKernel.Threads,
               MinBlocks = 2,
               DynamicSharedBytes = PrefillClassesKernel.SharedBytes(head.Size),
               Rows = PrefillClassesKernel.Rows,
               Keys = PrefillClassesKernel.Keys,
               MaxRegisters = 255,
           },
        .. from element in Elements.Take(2)
           from head in Heads
           select new KernelConfiguration
           {
               Kernel = "PrefillOptions",
               Method = Method(typeof(PrefillOptionsKernel), element.Type, head.Type),
               ElementType = element.Name,
               HeadSize = head.Size,
               Threads = PrefillOptionsKernel.Threads,
               MinBlocks = 2,
               DynamicSharedBytes = PrefillOptionsKernel.SharedBytes(head.Size),
               Rows = PrefillOptionsKernel.Rows,
               Keys = PrefillOptionsKernel.Keys,
               MaxRegisters = 255,
           },
        .. from element in Elements[..2]
           from head in Heads
           select new KernelConfiguration
           {
               Kernel = "ScoresOnly",
               Method = Method(typeof(ScoresOnlyKernel), element.Type, head.Type),
               ElementType = element.Name,
               HeadSize = head.Size,
               Threads = ScoresOnlyKernel.Threads,
               MinBlocks = 2,
               DynamicSharedBytes = ScoresOnlyKernel.SharedBytes(head.Size),
               Rows = ScoresOnlyKernel.Rows,
               Keys = ScoresOnlyKernel.Keys,
               MaxRegisters = 255,
           },
        .. from element in Elements.Take(2)
           select new KernelConfiguration
           {
               Kernel = "DecodeCombine",
               Method = Method(typeof(DecodeCombineKernel), element.Type),
               ElementType = element.Name,
               Threads = DecodeCombineKernel.Threads,
               MaxRegisters = 64,
           },
        new KernelConfiguration
        {
            Kernel = "HeadScores",
            Method = Method(typeof(HeadScoresKernel)),
            Threads = HeadScoresKernel.Threads,
            DynamicSharedBytes = HeadScoresKernel.SharedBytes,
            MaxRegisters = 64,
        },
        new KernelConfiguration
        {
            Kernel = "SpeakerScores",
            Method = Method(typeof(SpeakerScoresKernel)),
            Threads = SpeakerScoresKernel.Threads,
            DynamicSharedBytes = SpeakerScoresKernel.SharedBytes,
            MaxRegisters = 64,
        },
        .. from element in Elements
           select new KernelConfiguration
           {
               Kernel = "SocialBias",
               Method = Method(typeof(SocialBiasKernel), element.Type),
               ElementType = element.Name,
               Threads = SocialBiasKernel.Threads,
               Rows = SocialBiasKernel.Rows,
               MaxRegisters = 64,
           },
        .. from element in Elements
           from isSplit in new[] { false, true }
           select new KernelConfiguration
           {
               Kernel = "PrefillSimt",
               Method = Method(typeof(PrefillSimtKernel), element.Type, isSplit ? typeof(SplitRows) : typeof(PlainRows)),
               ElementType = element.Name,
               Variant = isSplit ? "classes" : "plain",
               Threads = PrefillSimtKernel.Threads,
               MinBlocks = isSplit ? 1 : 2,
               DynamicSharedBytes = isSplit ? PrefillSimtKernel.SplitSharedBytes : PrefillSimtKernel.PlainSharedBytes,
               Rows = PrefillSimtKernel.Rows,
               Keys = PrefillSimtKernel.Keys,
               MaxRegisters = isSplit ? 255 : 128,
           },
        .. from element in Elements.Take(2)
           from head in Heads
           select new KernelConfiguration
           {
               Kernel = "Decode",
               Method = Method(typeof(DecodeKernel), element.Type, head.Type),
               ElementType = element.Name,
               HeadSize = head.Size,
               Threads = DecodeKernel.Threads,
               MinBlocks = 2,
               DynamicSharedBytes = DecodeKernel.SharedBytes(head.Size),
               Rows = DecodeKernel.Rows,
               Keys = DecodeKernel.Keys,
               MaxRegisters = 255,
           },
        .. from element in Elements
           select new KernelConfiguration
           {
               Kernel = "AppendKeyValue",
               Method = Method(typeof(AppendKeyValueKernel), element.Type),
               ElementType = element.Name,
               Threads = AppendKeyValueKernel.Threads,
               Rows = AppendKeyValueKernel.Rows,
               MaxRegisters = 64,
           },
        .. from element in Elements
           select new KernelConfiguration
           {
               Kernel = "MaskBias",
               Method = Method(typeof(MaskBiasKernel), element.Type),
               ElementType = element.Name,
               Threads = MaskBiasKernel.Threads,
               Keys = MaskBiasKernel.Keys,
               MaxRegisters = 64,
           },
    ];

    private static MethodInfo Method(Type kernel, params Type[] arguments)
    {
        MethodInfo method = kernel.GetMethod("Run")!;
        return arguments.Length == 0 ? method : method.MakeGenericMethod(arguments);
    }
}
