using System.Runtime.CompilerServices;
using ILGPU;

namespace AttentionKernels.Kernels.Device;

/// <summary>Which query rows a block of threads has: grid.x counts row blocks of all batch elements, grid.y heads.</summary>
internal struct RowBlock
{
    /// <summary>Batch element.</summary>
    public int Batch;

    /// <summary>First row.</summary>
    public int FirstRow;

    /// <summary>Of this block of threads.</summary>
    /// <param name="blocks">Address of int32 [grid.x], each batch element * row blocks + row block; 0: all of them, late rows, which see most keys under a causal mask, first.</param>
    /// <param name="rowBlocks">Row blocks of a batch element.</param>
    /// <param name="rows">Rows of a block.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowBlock Of(long blocks, int rowBlocks, int rows)
    {
        RowBlock block = default;
        if (blocks != 0)
        {
            int index = GlobalMemory.LoadInt(blocks + (Grid.IdxX * 4L));
            block.Batch = index / rowBlocks;
            block.FirstRow = (index - (block.Batch * rowBlocks)) * rows;
        }
        else
        {
            int batch = Grid.DimX / rowBlocks, fromEnd = Grid.IdxX / batch;
            block.Batch = Grid.IdxX - (fromEnd * batch);
            block.FirstRow = (rowBlocks - 1 - fromEnd) * rows;
        }
        return block;
    }
}
