using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>One way to use an operator wrongly, and what the error must say.</summary>
/// <param name="Break">Spoils a node that is right.</param>
/// <param name="Says">Parts of the message besides the node's name: the input or attribute, what it has, what was expected.</param>
internal sealed record WrongInput(Action<OpNode> Break, params string[] Says)
{
    /// <summary>The error comes, says what it must, and the session works afterwards.</summary>
    public void Check(Func<OpNode> create)
    {
        using OpNode good = create();
        using OrtSession session = good.CreateSession();
        Dictionary<string, float[]> expected = good.Run(session);
        using OpNode bad = create();
        Break(bad);

        // Wrong tensors go to the session of the right node; another node, or other types, need a session of their own.
        bool sameNode = bad.Attributes.Count == good.Attributes.Count && bad.Attributes.All(a => good.Attributes.TryGetValue(a.Key, out object? value) && value.Equals(a.Value))
            && bad.Outputs.Length == good.Outputs.Length && Signature(bad).SequenceEqual(Signature(good));
        OrtException e = Assert.Throws<OrtException>(() => sameNode ? bad.Run(session) : bad.Run());
        Assert.Contains("node0", e.Message, StringComparison.Ordinal);
        Assert.All(Says, part => Assert.True(e.Message.Contains(part, StringComparison.Ordinal), $"the message lacks '{part}': {e.Message}"));

        Dictionary<string, float[]> again = good.Run(session);
        Assert.All(expected, r => Assert.Equal(r.Value, again[r.Key]));
    }

    private static IEnumerable<(string, OnnxElementType)> Signature(OpNode node) => node.Feeds().Select(f => (f.Key, f.Value.ElementType));
}
