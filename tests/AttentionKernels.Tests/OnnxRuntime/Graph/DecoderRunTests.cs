using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>The generated decoder in ONNX Runtime, with its built-in attention and with this library's in its place, against the decoder written as plain loops in float64.</summary>
public sealed class DecoderRunTests
{
    public static TheoryData<string, AttentionOverrides> Configurations
    {
        get
        {
            TheoryData<string, AttentionOverrides> data = [];
            foreach (string name in Cases.Keys)
            {
                data.Add(name, AttentionOverrides.None);
                data.Add(name, AttentionOverrides.GroupQueryAttention);
            }
            return data;
        }
    }

    private static Dictionary<string, DecoderConfig> Cases { get; } = new()
    {
        ["default"] = new DecoderConfig(),
        ["planted"] = new DecoderConfig { PlantHeads = true },
        ["one key head"] = new DecoderConfig { KvHeads = 1, Heads = 3, HeadSize = 24, Hidden = 40 },
        ["smallest head"] = new DecoderConfig { Layers = 1, HeadSize = 8, Heads = 2, KvHeads = 2, PlantHeads = true },
        ["own sections"] = new DecoderConfig { Mrope = new MropeSections(1, 5, 2), RopeTheta = 100 },
        ["float16"] = new DecoderConfig { Type = ElementType.Float16 },
    };

    [Theory]
    [MemberData(nameof(Configurations))]
    public void Prefill_Matches_The_Float64_Decoder(string name, AttentionOverrides overrides)
    {
        DecoderConfig config = Cases[name];
        DecoderInput input = DecoderInput.Create(config, prompt: 3, slots: 2, rows: 3, columns: 5, words: 8);
        using DecoderSession session = new(config, overrides: overrides);
        DecoderTolerance.Check(name, config, input, session.Run(input, "logits")["logits"]);
    }

    [Theory]
    [InlineData(AttentionOverrides.None, 0)]
    [InlineData(AttentionOverrides.None, 40)]
    [InlineData(AttentionOverrides.All, 0)]
    [InlineData(AttentionOverrides.All, 40)]
    public void Decoding_Step_By_Step_Matches_One_Prefill(AttentionOverrides overrides, int bufferRows)
    {
        DecoderConfig config = new() { PlantHeads = true };
        DecoderInput input = DecoderInput.Create(config, prompt: 2, slots: 1, rows: 3, columns: 4, words: 7);
        using DecoderSession session = new(config, overrides: overrides) { BufferRows = bufferRows };
        List<float> logits = [];
        int prompt = 14;
        logits.AddRange(session.Run([input], 0, prompt, ["logits"])["logits"]);
        for (int t = prompt; t < input.Length; t++)
        {
            logits.AddRange(session.Run([input], t, t + 1, ["logits"])["logits"]);
        }
        DecoderTolerance.Check("steps", config, input, [.. logits]);
    }

    [Theory]
    [InlineData(AttentionOverrides.None)]
    [InlineData(AttentionOverrides.All)]
    public void A_Padded_Batch_Matches_Its_Elements_Alone(AttentionOverrides overrides)
    {
        DecoderConfig config = new();
        DecoderInput[] inputs =
        [
            DecoderInput.Create(config, prompt: 2, slots: 1, rows: 3, columns: 4, words: 2),
            DecoderInput.Create(config, prompt: 4, slots: 2, rows: 2, columns: 3, words: 9),
        ];
        int longest = inputs.Max(input => input.Length);
        using DecoderSession session = new(config, overrides: overrides);
        float[] logits = session.Run(inputs, 0, longest, ["logits"])["logits"];
        for (int b = 0; b < inputs.Length; b++)
        {
            // What a padding row computes concerns nobody.
            int start = b * longest * config.Vocabulary;
            DecoderTolerance.Check($"element {b}", config, inputs[b], logits[start..(start + (inputs[b].Length * config.Vocabulary))]);
        }
    }
}
