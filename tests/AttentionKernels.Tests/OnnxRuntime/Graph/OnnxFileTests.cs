using AttentionKernels.OnnxRuntime.Graph;
using FsCheck;
using FsCheck.Fluent;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>Damaged models and files: always one clear exception.</summary>
public sealed class OnnxFileTests
{
    private static readonly byte[] Model = DecoderGraphBuilder.Build(new DecoderConfig { Layers = 1, Hidden = 8, Heads = 1, KvHeads = 1, HeadSize = 8, Intermediate = 4, Vocabulary = 3 });

    [Fact]
    public void Cut_Models_Are_Refused()
    {
        // Cuts between top-level fields leave a smaller model, so only the message's own kind of exception may come, or none.
        for (int length = 0; length < Model.Length; length += 13)
        {
            RewriteOrRefuse(Model.AsSpan(0, length));
        }
    }

    [Fact]
    public void Damaged_Models_Are_Refused_Or_Rewritten()
    {
        Gen<(int At, int Value)[]> damage = Gen.NonEmptyListOf(Gen.Choose(0, Model.Length - 1).SelectMany(at => Gen.Choose(0, 255).Select(value => (at, value)))).Select(l => l.ToArray());
        Prop.ForAll(damage.ToArbitrary(), changes =>
        {
            byte[] bytes = (byte[])Model.Clone();
            foreach ((int at, int value) in changes)
            {
                bytes[at] = (byte)value;
            }
            RewriteOrRefuse(bytes);
            return true;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Fact]
    public void Random_Bytes_Are_Refused()
    {
        Prop.ForAll(Gen.ArrayOf(Gen.Choose(0, 255).Select(value => (byte)value)).ToArbitrary(), bytes =>
        {
            RewriteOrRefuse(bytes);
            return true;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Fact]
    public void Endless_Nesting_Is_Refused()
    {
        // graph { node { attribute { g { node { ... from the inside out.
        byte[] message = [];
        foreach (int field in Enumerable.Range(0, 400).SelectMany(_ => new[] { 6, 5, 1 }).Append(7))
        {
            List<byte> length = [];
            for (uint rest = (uint)message.Length; ; rest >>= 7)
            {
                if (rest < 128)
                {
                    length.Add((byte)rest);
                    break;
                }
                length.Add((byte)(rest | 128));
            }
            message = [(byte)((field << 3) | 2), .. length, .. message];
        }
        Assert.Contains("not a readable ONNX model", Assert.Throws<OnnxModelException>(() => SteeredAttentionRewriter.Rewrite(message)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_Files_Are_Named()
    {
        Assert.Equal("The model is not an ONNX model: its 0 bytes hold no graph.", Refusal([]));
        Assert.Contains("not a readable ONNX model (9 bytes)", Refusal("{\"a\": 1}\n"u8.ToArray()), StringComparison.Ordinal);
        string missing = Path.Combine(Path.GetTempPath(), "attention-kernels-no-such-model.onnx");
        Assert.Contains(missing, Assert.Throws<OnnxModelException>(() => SteeredAttentionRewriter.Rewrite(missing)).Message, StringComparison.Ordinal);
    }

    private static string Refusal(byte[] bytes) => Assert.Throws<OnnxModelException>(() => SteeredAttentionRewriter.Rewrite(bytes)).Message;

    private static void RewriteOrRefuse(ReadOnlySpan<byte> bytes)
    {
        try
        {
            Assert.NotEmpty(SteeredAttentionRewriter.Rewrite(bytes).Model);
        }
        catch (OnnxModelException e)
        {
            Assert.NotEmpty(e.Message);
        }
    }
}
