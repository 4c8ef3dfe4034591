using System.Runtime.InteropServices;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Runs blocks of a launch one after the other: their warps take turns from barrier to barrier.</summary>
internal sealed unsafe class BlockRunner : IDisposable
{
    private readonly byte* _registers;
    private readonly Warp[] _warps;
    private readonly long _mostInstructions;

    /// <param name="entry">Kernel.</param>
    /// <param name="shape">Grid and block.</param>
    /// <param name="options">Device.</param>
    /// <param name="memory">Global memory.</param>
    /// <param name="parameters">Parameter buffer, alive and in place as long as this object.</param>
    public BlockRunner(PtxEntry entry, PtxLaunchShape shape, PtxOptions options, GlobalMemory memory, byte* parameters)
    {
        Entry = entry;
        Shape = shape;
        Memory = memory;
        Parameters = parameters;
        ApproximationSeed = options.ApproximationSeed;
        TruncatesSums = options.TruncatesSums;
        _mostInstructions = options.MostInstructions;
        Shared = new SharedMemory(shape.TotalSharedBytes);
        Steps = [.. (options.Contracts ? entry.Contracted : entry.Instructions).Select(instruction => new PtxStep(instruction))];
        int warps = (shape.Threads + 31) / 32;
        int stride = (entry.RegisterBytes + 127) / 128 * 128;
        _registers = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(128, (long)stride * warps), 128);
        _warps = [.. Enumerable.Range(0, warps).Select(w => new Warp(this, w, _registers + ((long)stride * w)))];
    }

    public PtxEntry Entry { get; }

    public PtxLaunchShape Shape { get; }

    public GlobalMemory Memory { get; }

    public SharedMemory Shared { get; }

    public byte* Parameters { get; }

    public int? ApproximationSeed { get; }

    public bool TruncatesSums { get; }

    public PtxBlockIndex Block { get; private set; }

    /// <summary>Tag of the block's writes to global memory.</summary>
    public uint Tag { get; private set; }

    /// <summary>The program.</summary>
    public PtxStep[] Steps { get; }

    public long StepsLeft { get; set; }

    public PtxCounts Counts { get; } = new();

    public PtxBlockIndex IndexOf(int number) =>
        new(number % Shape.Grid.X, number / Shape.Grid.X % Shape.Grid.Y, number / Shape.Grid.X / Shape.Grid.Y);

    public void Run(int number)
    {
        Block = IndexOf(number);
        Tag = Memory.TagOf(number);
        StepsLeft = _mostInstructions;
        Shared.Begin();
        foreach (Warp warp in _warps)
        {
            warp.Begin();
        }
        while (true)
        {
            foreach (Warp warp in _warps)
            {
                warp.Run();
            }
            Warp? waiting = Array.Find(_warps, warp => warp.State == WarpState.AtBarrier);
            if (waiting is null)
            {
                return;
            }
            Meet(waiting);
        }
    }

    /// <summary>Adds what the instructions counted; call it once, at the end.</summary>
    public PtxCounts TakeCounts()
    {
        foreach (ref PtxStep step in Steps.AsSpan())
        {
            Counts[step.Instruction.Class] += step.Executed;
            Counts.WarpInstructions += step.Executed;
        }
        return Counts;
    }

    public void Dispose()
    {
        foreach (Warp warp in _warps)
        {
            warp.Dispose();
        }
        Shared.Dispose();
        NativeMemory.AlignedFree(_registers);
    }

    private void Meet(Warp waiting)
    {
        int trueThreads = 0;
        foreach (Warp warp in _warps)
        {
            if (warp.State == WarpState.Done)
            {
                throw waiting.Error(waiting.Waiting!, null, $"warp {waiting.Index} waits at a barrier, but warp {warp.Index} has exited");
            }
            if (warp.Barrier != waiting.Barrier || warp.Waiting!.Mode != waiting.Waiting!.Mode)
            {
                throw waiting.Error(
                    waiting.Waiting!, null, $"warp {waiting.Index} waits at barrier {waiting.Barrier}, warp {warp.Index} at barrier {warp.Barrier} of line {warp.Waiting!.Line}");
            }
            trueThreads += System.Numerics.BitOperations.PopCount(warp.Contribution);
        }
        foreach (Warp warp in _warps)
        {
            warp.Release(trueThreads, Shape.Threads);
        }
        Shared.NextEpoch();
        Counts.Barriers++;
    }
}
