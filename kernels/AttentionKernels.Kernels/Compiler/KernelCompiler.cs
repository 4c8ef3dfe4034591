using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>From a row of the table to PTX text. No GPU takes part.</summary>
internal static class KernelCompiler
{
    /// <summary>Version of ILGPU that compiles.</summary>
    public static string IlgpuVersion { get; } = typeof(Context).Assembly.GetName().Version!.ToString(3);

    /// <exception cref="CompileException">ILGPU refuses the code, or the text cannot be finished.</exception>
    public static CompiledKernel Compile(KernelConfiguration configuration)
    {
        try
        {
            // A context for each kernel: one that failed to compile leaves its context unusable.
            using Context context = Context.Create(builder => builder.Optimize(OptimizationLevel.O2).Math(MathMode.Fast));
            using PTXBackend backend = new(context, CudaArchitecture.SM_80, CudaInstructionSet.ISA_78, nvvmAPI: null!);
            EntryPointDescription entry = EntryPointDescription.FromExplicitlyGroupedKernel(configuration.Method);
            PTXCompiledKernel kernel = (PTXCompiledKernel)backend.Compile(entry, new KernelSpecialization(configuration.Threads, configuration.MinBlocks));
            (string ptx, KernelParameter[] parameters) = PtxText.Finish(kernel.PTXAssembly, configuration.Name);
            return new CompiledKernel(configuration, ptx, parameters);
        }
        catch (Exception e) when (e is CompileException or InternalCompilerException or InvalidOperationException or NotSupportedException)
        {
            throw new CompileException($"{configuration.Name}: {(e.InnerException ?? e).Message}");
        }
    }
}
