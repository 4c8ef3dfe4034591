using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cpu;

/// <summary>The plan of a call against the definitions, on random roles.</summary>
public sealed unsafe class RolePlanTests
{
    [Fact]
    public void Order_Has_Every_Row_Once() => ForAll(nameof(Order_Has_Every_Row_Once), (c, plan, _) =>
    {
        for (int b = 0; b < c.Spec.B; b++)
        {
            int[] order = new Span<int>(plan.Order + (b * c.Spec.S), c.Spec.S).ToArray();
            Assert.Equal(Enumerable.Range(0, c.Spec.S), order.Order());
        }
    });

    /// <summary>Vectors of one run, as many as it fills; only what is left of runs shares vectors, U apart from the others until the rows end.</summary>
    [Fact]
    public void A_Run_Fills_Vectors_Of_Its_Own() => ForAll(nameof(A_Run_Fills_Vectors_Of_Its_Own), (c, plan, _) =>
    {
        for (int b = 0; b < c.Spec.B; b++)
        {
            int[] runs = [.. Enumerable.Range(0, c.Spec.S).Select(i => plan.SpokenIndex[(b * c.Spec.S) + i]).Select(u => u < 0 ? -1 : plan.Run[u])];
            int whole = 0;
            for (int start = 0, end; start < runs.Length; start = end)
            {
                for (end = start + 1; end < runs.Length && runs[end] == runs[start]; end++)
                {
                }
                whole += (end - start) / RolePlan.OrderGroup;
            }
            int[][] vectors = [.. Enumerable.Range(0, c.Spec.S).Select(i => runs[plan.Order[(b * c.Spec.S) + i]]).Chunk(RolePlan.OrderGroup)];
            Assert.True(vectors.Count(v => v.Length == RolePlan.OrderGroup && v.Distinct().Count() == 1) >= whole, c.Repro);
            int mixed = vectors.Count(v => v.Contains(-1) && v.Any(run => run >= 0));
            Assert.True(mixed <= 1, $"{mixed} vectors have rows of U and others; {c.Repro}");
        }
    });

    [Fact]
    public void Slots_Are_Different_And_Lanes_Of_The_Row_In_Its_Vector() => ForAll(nameof(Slots_Are_Different_And_Lanes_Of_The_Row_In_Its_Vector), (c, plan, spoken) =>
    {
        int[] slots = new Span<int>(plan.Slot, spoken).ToArray();
        Assert.Equal(spoken, slots.Distinct().Count());
        Assert.All(slots, slot => Assert.InRange(slot, 0, (RolePlan.Vectors(spoken, c.Spec.B) * RolePlan.OrderGroup) - 1));
        for (int i = 0; i < c.Spec.B * c.Spec.S; i++)
        {
            int u = plan.SpokenIndex[((long)(i / c.Spec.S) * c.Spec.S) + plan.Order[i]];
            Assert.True(u < 0 || slots[u] % RolePlan.OrderGroup == i % c.Spec.S % RolePlan.OrderGroup, c.Repro);
        }
    });

    [Fact]
    public void Bits_Are_The_Definition() => ForAll(nameof(Bits_Are_The_Definition), (c, plan, _) =>
    {
        for (int b = 0; b < c.Spec.B; b++)
        {
            for (int j = 0; j < plan.Tiles * 64; j++)
            {
                bool boxed = j < c.Problem.KeysOf(b) && c.Bias.Keys.IsBoxedVisual(b, j);
                Assert.Equal(boxed, RolePlan.Has(plan.Boxed + ((long)b * plan.Tiles), j));
                Assert.Equal(boxed ? 1 : 0, plan.BoxedWeight[((long)b * plan.Tiles * 64) + j]);
                Assert.Equal(boxed ? 0 : float.NegativeInfinity, plan.BoxedPenalty[((long)b * plan.Tiles * 64) + j]);
            }
            for (int i = 0; i < c.Spec.S; i++)
            {
                int u = plan.SpokenIndex[((long)b * c.Spec.S) + i];
                Assert.Equal(c.Bias.TryGetSpokenRow(c.Problem, b, i, out TokenRoles roles, out int token), u >= 0);
                if (u < 0)
                {
                    continue;
                }
                Assert.Equal(i, plan.SpokenRow[u]);
                ulong* aligned = plan.Aligned + ((long)plan.Run[u] * plan.Tiles);
                int count = 0;
                for (int j = 0; j < c.Spec.T; j++)
                {
                    bool isAligned = RolePlan.Has(plan.Boxed + ((long)b * plan.Tiles), j) && Role.Of(roles, b, token).SharedSpeakers(Role.Of(c.Bias.Keys, b, j)) != 0;
                    Assert.Equal(isAligned, RolePlan.Has(aligned, j));
                    count += isAligned ? 1 : 0;
                }
                Assert.Equal(count, plan.AlignedKeys[plan.Run[u]]);
            }
        }
    });

    private static void ForAll(string test, Action<AttentionCase, RolePlan, int> check) => Properties.ForAll(150, spec =>
    {
        using AttentionCase c = new(spec, test);
        (int spoken, int runs) = RolePlan.CountSpoken(c.Problem, c.Bias);
        RolePlan plan = default;
        ScratchCursor size = new(null);
        plan.Reserve(ref size, c.Problem, c.Bias, spoken, runs);
        void* memory = NativeMemory.AlignedAlloc(Math.Max(size.Used, ScratchCursor.Alignment), ScratchCursor.Alignment);
        try
        {
            ScratchCursor scratch = new(memory);
            plan.Reserve(ref scratch, c.Problem, c.Bias, spoken, runs);
            plan.Fill(c.Problem, c.Bias);
            check(c, plan, spoken);
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }, salt: (ulong)test.Sum(letter => letter), spec => spec with { Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles });
}
