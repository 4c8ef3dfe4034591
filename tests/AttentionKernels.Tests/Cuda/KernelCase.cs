using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>An <see cref="AttentionCase"/> as kernels take it: addresses and strides by parameter name, and what its roles mean.</summary>
internal sealed unsafe class KernelCase : IDisposable
{
    private readonly AttentionCase _case;

    /// <param name="case">The case.</param>
    /// <param name="tiles">64-bit words of a row of role bits; 0: as many as there are keys for.</param>
    public KernelCase(AttentionCase @case, int tiles = 0)
    {
        _case = @case;
        Tiles = tiles > 0 ? tiles : (@case.Spec.T + 63) / 64;
        AttentionProblem p = @case.Problem;
        CaseSpec spec = @case.Spec;
        Tensor("query", p.Query, spec.B * p.Query.BatchStride, false);
        Tensor("key", p.Key, spec.B * p.Key.BatchStride, false);
        Tensor("value", p.Value, spec.B * p.Value.BatchStride, false);
        Tensor("output", p.Output, spec.B * p.Output.BatchStride, true);
        int biasMatrices = (spec.BiasPerBatch ? spec.B : 1) * (spec.BiasPerHead ? spec.H : 1);
        Tensor("bias", p.Bias, (long)biasMatrices * spec.S * spec.T, false);
        HeadSink = Kernels.Share("head sink", p.HeadSink, spec.H * 4L, false);
        KeyLengths = Kernels.Share("key lengths", p.KeyLengths, spec.B * 4L, false);
        QueryOffsets = Kernels.Share("query offsets", p.QueryOffsets, spec.B * 4L, false);
        FindRoles();
    }

    public TestKernels Kernels { get; } = new();

    public string ElementName => _case.Spec.Type switch { ElementType.Float16 => "f16", ElementType.BFloat16 => "bf16", _ => "f32" };

    public long HeadSink { get; }

    public long KeyLengths { get; }

    public long QueryOffsets { get; }

    /// <summary>Rows of U.</summary>
    public int Spoken { get; private set; }

    /// <summary>Arrays of a role plan in which every row of U is a run of its own.</summary>
    public long SpokenIndex { get; private set; }

    /// <inheritdoc cref="SpokenIndex"/>
    public long SpokenStart { get; private set; }

    /// <inheritdoc cref="SpokenIndex"/>
    public long SpokenRow { get; private set; }

    /// <inheritdoc cref="SpokenIndex"/>
    public long Run { get; private set; }

    /// <inheritdoc cref="SpokenIndex"/>
    public long Aligned { get; private set; }

    /// <inheritdoc cref="SpokenIndex"/>
    public long AlignedKeys { get; private set; }

    /// <inheritdoc cref="SpokenIndex"/>
    public long Boxed { get; private set; }

    /// <inheritdoc cref="SpokenIndex"/>
    public long BoxedCount { get; private set; }

    /// <summary>Tiles of 64 keys.</summary>
    public int Tiles { get; }

    private readonly List<(string, double)> _tensors = [];

    /// <summary>Addresses and strides of some tensors, and more.</summary>
    public (string Name, double Value)[] With(string tensors, params (string, double)[] more) =>
        [.. _tensors.Where(t => tensors.Split(' ').Any(name => t.Item1 == name || (t.Item1.StartsWith(name, StringComparison.Ordinal) && t.Item1.EndsWith("Stride", StringComparison.Ordinal)))), .. more];

    public void Dispose() => Kernels.Dispose();

    private void Tensor(string name, in TensorView view, long elements, bool writable)
    {
        long address = Kernels.Share(name, view.Data, elements * view.Type.Size(), writable);
        _tensors.AddRange([
            (name, address), (name + "BatchStride", view.BatchStride), (name + "HeadStride", view.HeadStride), (name + "TokenStride", view.RowStride)]);
    }

    private void FindRoles()
    {
        AttentionProblem p = _case.Problem;
        SocialBias bias = _case.Bias;
        if (bias.Keys.IsEmpty)
        {
            return;
        }
        ulong[] boxed = new ulong[p.Batch * Tiles];
        int[] boxedCount = new int[p.Batch], index = new int[p.Batch * p.QueryLength], start = new int[p.Batch + 1];
        List<int> row = [], alignedKeys = [];
        List<ulong> aligned = [];
        for (int b = 0; b < p.Batch; b++)
        {
            for (int j = 0; j < p.KeysOf(b); j++)
            {
                if (bias.Keys.IsBoxedVisual(b, j))
                {
                    boxed[(b * Tiles) + (j / 64)] |= 1UL << (j % 64);
                    boxedCount[b]++;
                }
            }
            for (int i = 0; i < p.QueryLength; i++)
            {
                bool isSpoken = bias.TryGetSpokenRow(p, b, i, out TokenRoles roles, out int token);
                index[(b * p.QueryLength) + i] = isSpoken ? row.Count : -1;
                if (isSpoken)
                {
                    ulong[] bits = new ulong[Tiles];
                    int count = 0;
                    for (int j = 0; j < p.KeysOf(b); j++)
                    {
                        if (bias.Keys.IsBoxedVisual(b, j) && IsAligned(roles, (b * roles.Length) + token, bias.Keys, (b * bias.Keys.Length) + j))
                        {
                            bits[j / 64] |= 1UL << (j % 64);
                            count++;
                        }
                    }
                    row.Add(i);
                    alignedKeys.Add(count);
                    aligned.AddRange(bits);
                }
            }
            start[b + 1] = row.Count;
        }
        Spoken = row.Count;
        SpokenIndex = Kernels.Input("spoken index", index);
        SpokenStart = Kernels.Input("spoken start", start);
        SpokenRow = Kernels.Input("spoken row", row.ToArray());
        Run = Kernels.Input("run", Enumerable.Range(0, Spoken).ToArray());
        Aligned = Kernels.Input("aligned", aligned.ToArray());
        AlignedKeys = Kernels.Input("aligned keys", alignedKeys.ToArray());
        Boxed = Kernels.Input("boxed", boxed);
        BoxedCount = Kernels.Input("boxed count", boxedCount);
    }

    private static bool IsAligned(in TokenRoles rows, int u, in TokenRoles keys, int v) =>
        (rows.Speakers[u] & keys.Speakers[v]) != 0
        && Math.Max(rows.Frames[2 * u], keys.Frames[2 * v]) < Math.Min(rows.Frames[(2 * u) + 1], keys.Frames[(2 * v) + 1]);
}
