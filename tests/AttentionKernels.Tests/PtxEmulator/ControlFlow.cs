namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Control-flow graph of an entry: basic blocks, and where lanes that a branch separated meet again.</summary>
/// <remarks>
/// Lanes meet at the immediate post-dominator of the branch: the first instruction that every way to the exit passes. That is where
/// ptxas lets them meet in code without gotos into loops, it needs no order of program counters, and a warp that reaches a barrier
/// or a .sync.aligned instruction before that point is really divergent there, so the error is exact. (Lowest program counter first
/// would meet at the same points in such code, but would hide a divergence that the layout of the text happens to undo.)
/// </remarks>
internal sealed class ControlFlow
{
    /// <summary>Reconvergence at the exit only.</summary>
    public const int Exit = int.MaxValue;

    private readonly PtxInstruction[] _code;
    private readonly int[] _blockOf;
    private readonly List<int> _starts = [];
    private readonly List<int>[] _successors;

    public ControlFlow(PtxInstruction[] code)
    {
        _code = code;
        bool[] leads = new bool[code.Length + 1];
        leads[0] = true;
        for (int i = 0; i < code.Length; i++)
        {
            foreach (int target in TargetsOf(code[i]))
            {
                leads[target] = true;
            }
            leads[i + 1] |= code[i].IsBranch || code[i].IsExit;
        }
        _blockOf = new int[code.Length];
        for (int i = 0; i < code.Length; i++)
        {
            if (leads[i])
            {
                _starts.Add(i);
            }
            _blockOf[i] = _starts.Count - 1;
        }
        _successors = new List<int>[Count];
        for (int b = 0; b < Count; b++)
        {
            PtxInstruction last = code[End(b) - 1];
            List<int> next = [.. TargetsOf(last).Select(target => _blockOf[target]).Distinct()];
            bool fallsThrough = last.Guard >= 0 || !(last.IsBranch || last.IsExit);
            if (fallsThrough && b + 1 < Count && !next.Contains(b + 1))
            {
                next.Add(b + 1);
            }
            _successors[b] = next;
        }
    }

    /// <summary>Number of basic blocks.</summary>
    public int Count => _starts.Count;

    public int Start(int block) => _starts[block];

    public int End(int block) => block + 1 < Count ? _starts[block + 1] : _code.Length;

    public IReadOnlyList<int> Successors(int block) => _successors[block];

    /// <summary>Gives every branch its immediate post-dominator.</summary>
    public void SetReconvergence()
    {
        int exit = Count;
        List<int>[] predecessors = new List<int>[Count + 1];
        for (int b = 0; b <= Count; b++)
        {
            predecessors[b] = [];
        }
        for (int b = 0; b < Count; b++)
        {
            PtxInstruction last = _code[End(b) - 1];
            foreach (int next in _successors[b])
            {
                predecessors[next].Add(b);
            }
            if (last.IsExit)
            {
                predecessors[exit].Add(b);
            }
        }

        // Dominators of the reversed graph (Cooper, Harvey, Kennedy): blocks in reverse postorder from the exit.
        int[] order = new int[Count + 1];
        Array.Fill(order, -1);
        List<int> postorder = Postorder(predecessors, exit, order);
        int[] dominator = new int[Count + 1];
        Array.Fill(dominator, -1);
        dominator[exit] = exit;
        for (bool changed = true; changed;)
        {
            changed = false;
            for (int p = postorder.Count - 2; p >= 0; p--)
            {
                int block = postorder[p];
                int meet = -1;
                IEnumerable<int> nexts = _code[End(block) - 1].IsExit ? _successors[block].Append(exit) : _successors[block];
                foreach (int next in nexts)
                {
                    if (dominator[next] >= 0)
                    {
                        meet = meet < 0 ? next : Intersect(dominator, order, meet, next);
                    }
                }
                if (meet >= 0 && dominator[block] != meet)
                {
                    dominator[block] = meet;
                    changed = true;
                }
            }
        }
        for (int b = 0; b < Count; b++)
        {
            PtxInstruction last = _code[End(b) - 1];
            if (last.IsBranch && dominator[b] >= 0 && dominator[b] != exit)
            {
                last.Reconvergence = _starts[dominator[b]];
            }
        }
    }

    private static IEnumerable<int> TargetsOf(PtxInstruction instruction) =>
        instruction.Target >= 0 ? [instruction.Target] : instruction.Targets;

    private static List<int> Postorder(List<int>[] edges, int root, int[] order)
    {
        List<int> postorder = [];
        bool[] seen = new bool[edges.Length];
        Stack<(int Node, int Edge)> open = new();
        open.Push((root, 0));
        seen[root] = true;
        while (open.TryPop(out (int Node, int Edge) at))
        {
            if (at.Edge < edges[at.Node].Count)
            {
                open.Push((at.Node, at.Edge + 1));
                int next = edges[at.Node][at.Edge];
                if (!seen[next])
                {
                    seen[next] = true;
                    open.Push((next, 0));
                }
            }
            else
            {
                order[at.Node] = postorder.Count;
                postorder.Add(at.Node);
            }
        }
        return postorder;
    }

    private static int Intersect(int[] dominator, int[] order, int a, int b)
    {
        while (a != b)
        {
            while (order[a] < order[b])
            {
                a = dominator[a];
            }
            while (order[b] < order[a])
            {
                b = dominator[b];
            }
        }
        return a;
    }
}
