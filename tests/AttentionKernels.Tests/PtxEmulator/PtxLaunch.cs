using System.Runtime.InteropServices;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Executes kernels on the CPU.</summary>
internal static unsafe class PtxLaunch
{
    /// <summary>Runs a grid to its end.</summary>
    /// <param name="module">Parsed PTX.</param>
    /// <param name="entry">Name of the kernel.</param>
    /// <param name="grid">Blocks: x to 2^31 - 1, y and z to 65535.</param>
    /// <param name="threads">Threads of a block (x; y = z = 1); equal to .maxntid where the kernel has it.</param>
    /// <param name="dynamicSharedBytes">Dynamic shared memory of a block.</param>
    /// <param name="parameters">Parameter buffer as laid out by <see cref="PtxEntry.Parameters"/>.</param>
    /// <param name="memory">Global memory; device addresses are host addresses.</param>
    /// <param name="options">Device; null for <see cref="PtxOptions.Default"/>.</param>
    /// <returns>What was executed.</returns>
    /// <exception cref="PtxException">A wrong launch, or the first error of the lowest block that has one.</exception>
    public static PtxCounts Run(
        PtxModule module,
        string entry,
        PtxBlockIndex grid,
        int threads,
        int dynamicSharedBytes,
        ReadOnlySpan<byte> parameters,
        GlobalMemory memory,
        PtxOptions? options = null)
    {
        options ??= PtxOptions.Default;
        PtxEntry kernel = module[entry];
        PtxLaunchShape shape = Check(module, kernel, grid, threads, dynamicSharedBytes, parameters.Length, options);
        int blocks = grid.X * grid.Y * grid.Z;
        memory.BeginLaunch(blocks);
        byte* buffer = (byte*)NativeMemory.Alloc((nuint)(parameters.Length + 16));
        try
        {
            parameters.CopyTo(new Span<byte>(buffer, parameters.Length));
            nint address = (nint)buffer;
            int workers = kernel.HasGlobalAtomics ? 1 : Math.Clamp(options.Workers, 1, blocks);
            PtxCounts counts = new();
            PtxException? error = null;
            int errorBlock = int.MaxValue;
            int next = -1;
            Lock gate = new();

            // Blocks start in order, so that no block below a failing one is left out: the error is the same for any number of workers.
            void Work()
            {
                using BlockRunner runner = new(kernel, shape, options, memory, (byte*)address);
                while (true)
                {
                    int block = Interlocked.Increment(ref next);
                    if (block >= blocks || block > Volatile.Read(ref errorBlock))
                    {
                        break;
                    }
                    try
                    {
                        runner.Run(block);
                    }
                    catch (PtxException exception)
                    {
                        lock (gate)
                        {
                            if (block < errorBlock)
                            {
                                (error, errorBlock) = (exception, block);
                            }
                        }
                        break;
                    }
                }
                lock (gate)
                {
                    counts.Add(runner.TakeCounts());
                }
            }

            if (workers == 1)
            {
                Work();
            }
            else
            {
                Parallel.For(0, workers, new ParallelOptions { MaxDegreeOfParallelism = workers }, _ => Work());
            }
            return error is null ? counts : throw error;
        }
        finally
        {
            NativeMemory.Free(buffer);
        }
    }

    private static PtxLaunchShape Check(
        PtxModule module, PtxEntry entry, PtxBlockIndex grid, int threads, int dynamicSharedBytes, int parameterBytes, PtxOptions options)
    {
        PtxException Error(string problem) => new($"{entry.Name}: {problem}", 0, "");
        if (module.Target > options.Architecture)
        {
            throw Error($"compiled for sm_{module.Target}, the device has sm_{options.Architecture}");
        }
        if (grid.X < 1 || grid.Y is < 1 or > 65535 || grid.Z is < 1 or > 65535 || (long)grid.X * grid.Y * grid.Z > int.MaxValue - 1024)
        {
            throw Error($"grid {grid.X} x {grid.Y} x {grid.Z} is not possible");
        }
        if (threads is < 1 or > 1024)
        {
            throw Error($"a block has 1 to 1024 threads, not {threads}");
        }
        if (entry.MaxThreads is int most && threads != most)
        {
            throw Error($"launched with {threads} threads, .maxntid says {most}");
        }
        if (parameterBytes != entry.ParameterBytes)
        {
            throw Error($"{parameterBytes} bytes of parameters, not {entry.ParameterBytes}");
        }
        if (dynamicSharedBytes < 0 || (dynamicSharedBytes > 0 && entry.DynamicSharedSymbol is null))
        {
            throw Error($"{dynamicSharedBytes} bytes of dynamic shared memory for a kernel without");
        }
        int total = dynamicSharedBytes == 0 ? entry.StaticSharedBytes : entry.DynamicSharedOffset + dynamicSharedBytes;
        if (total > options.MostSharedBytes)
        {
            throw Error(
                $"{total} bytes of shared memory; a block of an sm_{options.Architecture} device has {options.MostSharedBytes}"
                + (total <= 227 * 1024 ? " (sm_90: 232448)" : ""));
        }
        return new PtxLaunchShape(grid, threads, dynamicSharedBytes, total);
    }
}
