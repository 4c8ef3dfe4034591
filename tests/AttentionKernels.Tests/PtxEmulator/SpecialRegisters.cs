namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Special registers with a value that does not change while a block runs.</summary>
internal static class SpecialRegisters
{
    public static bool Knows(string name) => name is "%tid.x" or "%tid.y" or "%tid.z" or "%ntid.x" or "%ntid.y" or "%ntid.z"
        or "%ctaid.x" or "%ctaid.y" or "%ctaid.z" or "%nctaid.x" or "%nctaid.y" or "%nctaid.z"
        or "%laneid" or "%warpid" or "%nwarpid" or "%lanemask_eq" or "%lanemask_lt" or "%lanemask_le" or "%lanemask_gt" or "%lanemask_ge"
        or "%dynamic_smem_size" or "%total_smem_size" or "WARP_SZ";

    public static uint Value(string name, PtxLaunchShape shape, PtxBlockIndex block, int thread)
    {
        int lane = thread % 32;
        return name switch
        {
            "%tid.x" => (uint)thread,
            "%ntid.x" => (uint)shape.Threads,
            "%ntid.y" or "%ntid.z" => 1,
            "%ctaid.x" => (uint)block.X,
            "%ctaid.y" => (uint)block.Y,
            "%ctaid.z" => (uint)block.Z,
            "%nctaid.x" => (uint)shape.Grid.X,
            "%nctaid.y" => (uint)shape.Grid.Y,
            "%nctaid.z" => (uint)shape.Grid.Z,
            "%laneid" => (uint)lane,
            "%warpid" => (uint)(thread / 32),
            "%nwarpid" => (uint)((shape.Threads + 31) / 32),
            "%lanemask_eq" => 1u << lane,
            "%lanemask_lt" => (1u << lane) - 1,
            "%lanemask_le" => (uint)((2ul << lane) - 1),
            "%lanemask_gt" => ~(uint)((2ul << lane) - 1),
            "%lanemask_ge" => ~((1u << lane) - 1),
            "%dynamic_smem_size" => (uint)shape.DynamicSharedBytes,
            "%total_smem_size" => (uint)shape.TotalSharedBytes,
            "WARP_SZ" => 32,
            _ => 0,   // %tid.y and %tid.z: blocks have one dimension
        };
    }
}
