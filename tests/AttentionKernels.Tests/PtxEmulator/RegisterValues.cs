namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>
/// Finds reads of registers that some path leaves without a value. Only those are checked at run time; in compiled code they are few,
/// so that checking registers costs nothing in the common case.
/// </summary>
internal static class RegisterValues
{
    /// <summary>Fills <see cref="PtxInstruction.Checked"/> and <see cref="PtxInstruction.Tracked"/>.</summary>
    /// <returns>Whether anything is checked.</returns>
    public static bool MarkChecks(PtxInstruction[] code, ControlFlow flow, int registers)
    {
        int words = (registers + 63) / 64;
        ulong[]?[] before = new ulong[]?[flow.Count];   // null: not reached yet
        before[0] = new ulong[words];
        Queue<int> work = new([0]);
        bool[] queued = new bool[flow.Count];
        while (work.TryDequeue(out int block))
        {
            queued[block] = false;
            ulong[] known = (ulong[])before[block]!.Clone();
            for (int i = flow.Start(block); i < flow.End(block); i++)
            {
                Define(code[i], known);
            }
            foreach (int next in flow.Successors(block))
            {
                bool changed = before[next] is null;
                if (before[next] is ulong[] old)
                {
                    for (int w = 0; w < words; w++)
                    {
                        ulong both = old[w] & known[w];
                        changed |= both != old[w];
                        old[w] = both;
                    }
                }
                else
                {
                    before[next] = (ulong[])known.Clone();
                }
                if (changed && !queued[next])
                {
                    queued[next] = true;
                    work.Enqueue(next);
                }
            }
        }

        HashSet<int> doubtful = [];
        for (int block = 0; block < flow.Count; block++)
        {
            if (before[block] is not ulong[] known)
            {
                continue;
            }
            for (int i = flow.Start(block); i < flow.End(block); i++)
            {
                PtxRegister[] unknown = [.. code[i].Reads.Where(r => (known[r.Id / 64] >> (r.Id % 64) & 1) == 0).Distinct()];
                if (unknown.Length > 0)
                {
                    code[i].Checked = unknown;
                    doubtful.UnionWith(unknown.Select(r => r.Id));
                }
                Define(code[i], known);
            }
        }
        foreach (PtxInstruction instruction in code)
        {
            if (instruction.Writes.Exists(r => doubtful.Contains(r.Id)))
            {
                instruction.Tracked = [.. instruction.Writes.Where(r => doubtful.Contains(r.Id))];
            }
        }
        return doubtful.Count > 0;
    }

    private static void Define(PtxInstruction instruction, ulong[] known)
    {
        if (instruction.Guard < 0)
        {
            foreach (PtxRegister register in instruction.Writes)
            {
                known[register.Id / 64] |= 1ul << (register.Id % 64);
            }
        }
    }
}
