namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>
/// What a compiler of the device may make of float32 products and sums that do not ask for a rounding of their own (.rn): fused multiply-adds, which round once. Here it does so wherever it may:
/// within a basic block, for every sum or difference one of whose terms is such a product.
/// </summary>
internal static unsafe class Contraction
{
    /// <summary>The program with sums fused. Products stay, for others may use them.</summary>
    public static PtxInstruction[] Of(PtxInstruction[] code)
    {
        HashSet<int> leaders = [.. code.Where(i => i.Target >= 0).Select(i => i.Target), .. code.SelectMany(i => i.Targets)];
        Dictionary<int, PtxInstruction> products = []; // by the register that has them
        PtxInstruction[] result = [.. code];
        for (int at = 0; at < code.Length; at++)
        {
            if (leaders.Contains(at))
            {
                products.Clear();
            }
            PtxInstruction i = code[at];
            bool mayFuse = i.Fusable && i.Guard < 0;
            if (mayFuse && i.Opcode != "mul")
            {
                result[at] = products.TryGetValue(i.A, out PtxInstruction? left) ? Fuse(i, left, i.B, i.Opcode == "add" ? '+' : '-')
                    : products.TryGetValue(i.B, out PtxInstruction? right) ? Fuse(i, right, i.A, i.Opcode == "add" ? '+' : 'r')
                    : i;
            }
            foreach (PtxRegister written in i.Writes)
            {
                products.Remove(written.Slot);
                foreach ((int slot, PtxInstruction product) in products.Where(pair => pair.Value.A == written.Slot || pair.Value.B == written.Slot).ToArray())
                {
                    products.Remove(slot);
                }
            }
            if (mayFuse && i.Opcode == "mul" && i.D != i.A && i.D != i.B)
            {
                products[i.D] = i;
            }
            if (i.IsBranch)
            {
                products.Clear();
            }
        }
        return result;
    }

    private static PtxInstruction Fuse(PtxInstruction sum, PtxInstruction product, int other, char mode)
    {
        PtxInstruction fused = sum.Copy();
        (fused.A, fused.B, fused.C, fused.Mode) = (product.A, product.B, other, mode);
        fused.Flush |= product.Flush;
        fused.Execute = &Warp.ContractedF32;
        return fused;
    }
}
