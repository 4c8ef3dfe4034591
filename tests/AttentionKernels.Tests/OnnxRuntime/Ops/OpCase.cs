using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>An <see cref="AttentionCase"/> as the inputs of a SteeredAttention node.</summary>
internal static unsafe class OpCase
{
    public static OpNode SteeredAttention(AttentionCase c)
    {
        CaseSpec spec = c.Spec;
        OpNode node = new()
        {
            Op = "SteeredAttention",
            Outputs = ["output", "present_key", "present_value", "head_scores", "alignment"],
            OutputType = spec.Type.ToOnnx(),
            Threads = 1 + (spec.Seed % 2),
            Attributes = new Dictionary<string, object>
            {
                ["num_heads"] = (long)spec.H,
                ["kv_num_heads"] = (long)spec.Kv,
                ["softcap"] = spec.Softcap,
                ["local_window_size"] = spec.Window == 0 ? -1L : spec.Window,
                ["causal"] = spec.Causal ? 1L : 0,
                ["alpha"] = spec.Alpha,
                ["lambda"] = spec.Lambda,
                ["clamp_negative"] = spec.Clamp ? 1L : 0,
            },
        };
        AddTensors(node, c);
        AddRoles(node, c.Bias.Keys, spec.B);
        AddRoles(node, c.Bias.Queries, spec.B);
        if (c.Bias.HeadScoresIn != null)
        {
            node.Add(new Span<float>(c.Bias.HeadScoresIn, spec.B * spec.H).ToArray(), spec.B, spec.H);
        }
        return node;
    }

    /// <summary>The same problem without roles for ONNX Runtime's own operator.</summary>
    /// <param name="c">New keys as many as rows, head size a multiple of 8.</param>
    /// <param name="qkOutput">What output_qk holds: 1 logits, 2 probabilities.</param>
    /// <param name="bias">[B, H, S, T] instead of the case's own bias; null: the case's own.</param>
    public static OpNode GroupQueryAttention(AttentionCase c, int qkOutput = 0, float[]? bias = null)
    {
        CaseSpec spec = c.Spec;
        OpNode node = new()
        {
            Domain = "com.microsoft",
            Op = "GroupQueryAttention",
            Outputs = qkOutput == 0 ? ["output", "present_key", "present_value"] : ["output", "present_key", "present_value", "output_qk"],
            Threads = 1 + (spec.Seed % 2),
            OutputType = spec.Type.ToOnnx(),
            Attributes = new Dictionary<string, object>
            {
                ["num_heads"] = (long)spec.H,
                ["kv_num_heads"] = (long)spec.Kv,
                ["softcap"] = spec.Softcap,
                ["local_window_size"] = spec.Window == 0 ? -1L : spec.Window,
                ["causal"] = spec.Causal ? 1L : 0,
                ["qk_output"] = (long)qkOutput,
            },
        };
        AddTensors(node, c);
        return bias == null ? node : node.Replace(10, bias, spec.B, spec.H, spec.S, spec.T);
    }

    /// <summary>The scores alone.</summary>
    public static OpNode CrossModalHeadScores(AttentionCase c)
    {
        CaseSpec spec = c.Spec;
        OpNode node = new()
        {
            Op = "CrossModalHeadScores",
            Outputs = ["head_scores", "speaker_scores"],
            Threads = 1 + (spec.Seed % 2),
            Attributes = new Dictionary<string, object>
            {
                ["num_heads"] = (long)spec.H,
                ["kv_num_heads"] = (long)spec.Kv,
                ["softcap"] = spec.Softcap,
                ["local_window_size"] = spec.Window == 0 ? -1L : spec.Window,
                ["causal"] = spec.Causal ? 1L : 0,
                ["num_speakers"] = (long)c.Bias.SpeakerCount,
            },
        };
        int[] lengths = new Span<int>(c.Problem.KeyLengths, spec.B).ToArray();
        int fresh = spec.T - spec.Past;
        int[] first = [.. lengths.Select(n => spec.Past == 0 ? 0 : n - fresh)];
        node.Add(spec.Type, Rows(c, c.Problem.Query, spec.H, spec.S, spec.D, new int[spec.B]), spec.B, spec.S, spec.H * spec.D);
        node.Add(spec.Type, Rows(c, c.Problem.Key, spec.Kv, fresh, spec.D, first), spec.B, fresh, spec.Kv * spec.D);
        if (spec.Past > 0)
        {
            node.Add(spec.Type, PastRows(c, c.Problem.Key, spec.D, first), spec.B, spec.Kv, spec.Past, spec.D);
        }
        else
        {
            node.Skip();
        }
        node.Add([.. lengths.Select(n => n - 1)], spec.B).Add([spec.T]);
        AddRoles(node, c.Bias.Keys, spec.B);
        AddRoles(node, c.Bias.Queries, spec.B);
        return node;
    }

    /// <summary>Inputs 0 to 11, which both attention operators have.</summary>
    private static void AddTensors(OpNode node, AttentionCase c)
    {
        CaseSpec spec = c.Spec;
        Span<int> lengths = new(c.Problem.KeyLengths, spec.B);
        int fresh = spec.T - spec.Past;
        int[] first = [.. lengths.ToArray().Select(n => spec.Past == 0 ? 0 : n - fresh)];

        node.Add(spec.Type, Rows(c, c.Problem.Query, spec.H, spec.S, spec.D, new int[spec.B]), spec.B, spec.S, spec.H * spec.D);
        node.Add(spec.Type, Rows(c, c.Problem.Key, spec.Kv, fresh, spec.D, first), spec.B, fresh, spec.Kv * spec.D);
        node.Add(spec.Type, Rows(c, c.Problem.Value, spec.Kv, fresh, spec.Dv, first), spec.B, fresh, spec.Kv * spec.Dv);
        if (spec.Past > 0)
        {
            node.Add(spec.Type, PastRows(c, c.Problem.Key, spec.D, first), spec.B, spec.Kv, spec.Past, spec.D);
            node.Add(spec.Type, PastRows(c, c.Problem.Value, spec.Dv, first), spec.B, spec.Kv, spec.Past, spec.Dv);
        }
        else
        {
            node.Skip(2);
        }
        node.Add([.. lengths.ToArray().Select(n => n - 1)], spec.B).Add([spec.T]).Skip(3);

        if (spec.Bias)
        {
            int batches = spec.BiasPerBatch ? spec.B : 1, heads = spec.BiasPerHead ? spec.H : 1;
            float[] bias = new float[batches * heads * spec.S * spec.T];
            for (int i = 0; i < bias.Length; i++)
            {
                bias[i] = spec.Type.Load(c.Problem.Bias.Data, i);
            }
            node.Add(spec.Type, bias, batches, heads, spec.S, spec.T);
        }
        else
        {
            node.Skip();
        }
        if (spec.Sink)
        {
            float[] sinks = new Span<float>(c.Problem.HeadSink, spec.H).ToArray();
            node.Add(spec.Type, sinks, spec.H);
        }
        else
        {
            node.Skip();
        }
    }

    /// <summary>[B, S, H, Dv] as [B, H, S, Dv].</summary>
    public static float[] HeadsFirst(float[] values, CaseSpec spec)
    {
        float[] result = new float[values.Length];
        for (int b = 0; b < spec.B; b++)
        {
            for (int s = 0; s < spec.S; s++)
            {
                for (int h = 0; h < spec.H; h++)
                {
                    Array.Copy(values, (((b * spec.S) + s) * spec.H + h) * spec.Dv, result, (((b * spec.H) + h) * spec.S + s) * spec.Dv, spec.Dv);
                }
            }
        }
        return result;
    }

    private static void AddRoles(OpNode node, TokenRoles roles, int batch)
    {
        if (roles.IsEmpty)
        {
            node.Skip(3);
            return;
        }
        int count = batch * roles.Length;
        node.Add(new Span<byte>(roles.Modality, count).ToArray(), batch, roles.Length)
            .Add(new Span<long>(roles.Speakers, count).ToArray(), batch, roles.Length)
            .Add(new Span<int>(roles.Frames, count * 2).ToArray(), batch, roles.Length, 2);
    }

    /// <summary>[B, rows, heads * size] from row first[b] on.</summary>
    public static float[] Rows(AttentionCase c, TensorView tensor, int heads, int rows, int size, int[] first)
    {
        float[] values = new float[c.Spec.B * rows * heads * size];
        int n = 0;
        for (int b = 0; b < c.Spec.B; b++)
        {
            for (int s = 0; s < rows; s++)
            {
                for (int h = 0; h < heads; h++)
                {
                    for (int d = 0; d < size; d++)
                    {
                        values[n++] = tensor.Load(b, h, first[b] + s, d);
                    }
                }
            }
        }
        return values;
    }

    /// <summary>[B, Kv, past, size] with rows up to end[b]; NaN behind them, which nobody may read.</summary>
    public static float[] PastRows(AttentionCase c, TensorView tensor, int size, int[] end)
    {
        float[] values = new float[c.Spec.B * c.Spec.Kv * c.Spec.Past * size];
        int n = 0;
        for (int b = 0; b < c.Spec.B; b++)
        {
            for (int h = 0; h < c.Spec.Kv; h++)
            {
                for (int s = 0; s < c.Spec.Past; s++)
                {
                    for (int d = 0; d < size; d++)
                    {
                        values[n++] = s < end[b] ? tensor.Load(b, h, s, d) : float.NaN;
                    }
                }
            }
        }
        return values;
    }
}
