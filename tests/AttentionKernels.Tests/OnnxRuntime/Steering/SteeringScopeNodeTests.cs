using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Steering;
using AttentionKernels.Tests.OnnxRuntime.Ops;

namespace AttentionKernels.Tests.OnnxRuntime.Steering;

/// <summary>Scopes around single nodes: every overridden operator, threads, and what is refused.</summary>
public sealed class SteeringScopeNodeTests
{
    private const int Length = 40;
    private const int Heads = 4;
    private const int Size = 8;
    private static readonly byte[] Modality = [.. Enumerable.Range(0, Length).Select(t => (byte)(t < 24 ? AttentionKernels.Modality.Visual : AttentionKernels.Modality.Text))];
    private static readonly long[] Speakers = [.. Enumerable.Range(0, Length).Select(t => t % 3 == 0 ? 0L : t % 3)];
    private static readonly int[] Frames = [.. Enumerable.Range(0, 2 * Length).Select(i => i % 2)];

    /// <summary>Each operator of ONNX Runtime in a scope is our own operator with the same roles, bit for bit.</summary>
    [Theory]
    [InlineData("com.microsoft", "GroupQueryAttention")]
    [InlineData("com.microsoft", "MultiHeadAttention")]
    [InlineData("", "Attention")]
    public void Every_Overridden_Operator_Equals_SteeredAttention(string domain, string op)
    {
        using OpNode own = new()
        {
            Op = "SteeredAttention",
            Outputs = ["output", "", "", "head_scores", "alignment"],
            Attributes = new() { ["num_heads"] = (long)Heads, ["lambda"] = 0f, ["causal"] = op == "MultiHeadAttention" ? 0L : 1 },
        };
        AddTokens(own).Skip(9).Add(Modality, 1, Length).Add(Speakers, 1, Length).Add(Frames, 1, Length, 2);
        Dictionary<string, float[]> expected = own.Run();

        using OpNode node = Node(domain, op);
        using SteeringScope scope = new(Roles(), new SteeringScopeSettings { Lambda = 0 });
        Assert.Equal(expected["output"], node.Run()["output"]);
        Assert.Equal(expected["head_scores"], scope.Read(0).HeadScores);
        Assert.Equal(expected["alignment"], scope.Read(0).Alignment);
    }

    /// <summary>Attention between two sequences: rows have roles of their own.</summary>
    [Fact]
    public void Query_Roles_Equal_Those_Of_SteeredAttention()
    {
        const int rows = 7;
        byte[] modality = [.. Enumerable.Repeat((byte)AttentionKernels.Modality.Text, rows)];
        long[] speakers = [1, 2, 0, 1, 2, 3, 1];
        int[] frames = [.. Frames.Take(2 * rows)];
        using OpNode own = new()
        {
            Op = "SteeredAttention",
            Outputs = ["output", "", "", "head_scores"],
            Attributes = new() { ["num_heads"] = (long)Heads, ["lambda"] = 0f, ["causal"] = 0L },
        };
        AddTokens(own, rows).Skip(9).Add(Modality, 1, Length).Add(Speakers, 1, Length).Add(Frames, 1, Length, 2)
            .Add(modality, 1, rows).Add(speakers, 1, rows).Add(frames, 1, rows, 2);
        Dictionary<string, float[]> expected = own.Run();

        using OpNode node = Node("com.microsoft", "MultiHeadAttention", rows);
        using SteeringScope scope = new(Roles(), new SteeringScopeSettings { Lambda = 0 }, new SteeringRoles(1, modality, speakers, frames));
        Assert.Equal(expected["output"], node.Run()["output"]);
        Assert.Equal(expected["head_scores"], scope.Read(0).HeadScores);
    }

    /// <summary>Eight threads run one session, each in a scope of its own: each gets, every time, the bits that it gets alone.</summary>
    [Fact]
    public void Concurrent_Runs_Follow_Their_Own_Scopes()
    {
        using OpNode node = Node("com.microsoft", "GroupQueryAttention");
        using OrtSession session = node.CreateSession();
        (float[] Output, float[] Scores)[] alone = [.. Enumerable.Range(0, 8).Select(Run)];
        Assert.Equal(8, alone.Select(result => result.Output.Sum()).Distinct().Count());
        Exception?[] faults = new Exception?[8];
        Thread[] threads = [.. Enumerable.Range(0, 8).Select(i => new Thread(() => faults[i] = Record.Exception(() =>
        {
            for (int repeat = 0; repeat < 25; repeat++)
            {
                (float[] output, float[] scores) = Run(i);
                Assert.Equal(alone[i].Output, output);
                Assert.Equal(alone[i].Scores, scores);
            }
        })))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.All(faults, Assert.Null);

        // Thread 0 runs without a scope, the others with other roles and strengths.
        (float[] Output, float[] Scores) Run(int i)
        {
            if (i == 0)
            {
                return (node.Run(session)["output"], []);
            }
            long[] speakers = [.. Speakers.Select((s, t) => (t + i) % 5 == 0 ? 0 : s)];
            using SteeringScope scope = new(new SteeringRoles(1, Modality, speakers, Frames), new SteeringScopeSettings { Lambda = 0, Alpha = 0.25f * i });
            float[] output = node.Run(session)["output"];
            return (output, [.. scope.Read(0).HeadScores]);
        }
    }

    [Fact]
    public void Roles_Of_Another_Length_Are_An_Error_That_Names_Node_And_Scope()
    {
        SteeringRoles shorter = new(1, Modality.AsSpan(0, 30), Speakers.AsSpan(0, 30), Frames.AsSpan(0, 60));
        using OpNode node = Node("com.microsoft", "GroupQueryAttention");
        using SteeringScope scope = new(shorter);
        string message = Assert.Throws<OrtException>(node.Run).Message;
        Assert.Contains(
            "node 'node0' has 40 keys, expected 30 as the steering scope for layers 'all' with roles of 1 x 30 tokens; a prompt in chunks and decode steps need Growing",
            message, StringComparison.Ordinal);
        // Dispose adds no second error to one that was thrown.
    }

    [Fact]
    public void A_Batch_Or_Rows_Of_Another_Size_Are_An_Error()
    {
        using OpNode node = Node("com.microsoft", "MultiHeadAttention");
        using (SteeringScope scope = new(new SteeringRoles(2, [.. Modality, .. Modality], [.. Speakers, .. Speakers], [.. Frames, .. Frames])))
        {
            Assert.Contains("node 'node0' has batch 1, expected 2 as the steering scope", Assert.Throws<OrtException>(node.Run).Message, StringComparison.Ordinal);
        }
        using (SteeringScope scope = new(Roles(), null, new SteeringRoles(1, Modality.AsSpan(0, 3), Speakers.AsSpan(0, 3), Frames.AsSpan(0, 6))))
        {
            Assert.Contains("node 'node0' has 40 query rows, expected 3 as the query roles", Assert.Throws<OrtException>(node.Run).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_Gate_Must_Fit_The_Node()
    {
        using OpNode node = Node("com.microsoft", "GroupQueryAttention");
        SteeredLayerScores other = new() { Layer = 3, Node = "", Batch = 1, Heads = Heads, HeadScores = new float[Heads], Alignment = new float[Heads * 4], Calls = 1 };
        SteeredLayerScores few = new() { Layer = 0, Node = "", Batch = 1, Heads = 2, HeadScores = new float[2], Alignment = new float[8], Calls = 1 };
        using (SteeringScope scope = new(Roles(), new SteeringScopeSettings { Gate = [other] }))
        {
            Assert.Contains("node 'node0' is layer 0, for which Gate of the steering scope", Assert.Throws<OrtException>(node.Run).Message, StringComparison.Ordinal);
        }
        using (SteeringScope scope = new(Roles(), new SteeringScopeSettings { Gate = [few] }))
        {
            Assert.Contains("node 'node0' has batch 1 and 4 heads, expected 1 and 2 as Gate", Assert.Throws<OrtException>(node.Run).Message, StringComparison.Ordinal);
        }
    }

    /// <summary>Nothing ran; another layer ran; ONNX Runtime's own kernel ran; a parallel session ran its node on a thread of its own.</summary>
    [Theory]
    [InlineData("nothing", "all", "fitted no node: no attention node ran")]
    [InlineData("override", "5", "layers '5' with roles of 1 x 40 tokens fitted no node: attention nodes ran in layers 0")]
    [InlineData("override", "0-1", "fitted not every layer: attention nodes ran in layers 0")]
    [InlineData("built-in", "all", "fitted no node: no attention node ran")]
    [InlineData("parallel", "all", "fitted no node: no attention node ran")]
    public void A_Scope_That_Fits_No_Node_Is_An_Error(string run, string layers, string expected)
    {
        SteeringScopeSettings settings = new() { Layers = LayerRange.Parse(layers) };
        SteeringScope read = new(Roles(), settings);
        Run();
        Assert.Contains(expected, Assert.Throws<InvalidOperationException>(() => read.Read()).Message, StringComparison.Ordinal);
        // Told once.
        read.Dispose();
        SteeringScope unread = new(Roles(), settings);
        Run();
        Assert.Contains(expected, Assert.Throws<InvalidOperationException>(unread.Dispose).Message, StringComparison.Ordinal);
        // It has ended all the same: another can begin.
        using OpNode last = Node("com.microsoft", "GroupQueryAttention");
        using SteeringScope next = new(Roles());
        last.Run();

        void Run()
        {
            using OpNode node = Node("com.microsoft", "GroupQueryAttention");
            node.Overrides = run == "built-in" ? AttentionOverrides.None : AttentionOverrides.All;
            if (run == "parallel")
            {
                using OrtSessionOptions options = new() { IntraOpThreads = 1, ParallelNodes = 2 };
                AttentionKernelsOps.Register(options, AttentionOverrides.All);
                using OrtSession session = new(node.ToModel(), options);
                node.Run(session);
            }
            else if (run != "nothing")
            {
                node.Run();
            }
        }
    }

    [Fact]
    public void Scopes_Do_Not_Nest_And_End_On_Their_Thread()
    {
        using OpNode node = Node("com.microsoft", "GroupQueryAttention");
        using SteeringScope scope = new(Roles());
        Assert.Contains("this thread has the steering scope", Assert.Throws<InvalidOperationException>(() => new SteeringScope(Roles())).Message, StringComparison.Ordinal);
        Exception? fault = null;
        Thread other = new(() => fault = Record.Exception(scope.Dispose));
        other.Start();
        other.Join();
        Assert.Contains("was set on another thread", Assert.IsType<InvalidOperationException>(fault).Message, StringComparison.Ordinal);
        node.Run();
        Assert.Single(scope.Read());
        Assert.Contains("has no layer 2; attention nodes ran in layers 0", Assert.Throws<InvalidOperationException>(() => scope.Read(2)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Impossible_Settings_And_Roles_Are_Named()
    {
        Assert.Contains("Alpha is NaN", Refusal(new() { Alpha = float.NaN }), StringComparison.Ordinal);
        Assert.Contains("Lambda is NaN", Refusal(new() { Lambda = float.NaN }), StringComparison.Ordinal);
        Assert.Contains("Policy is 'boost', expected 'social' or 'none'", Refusal(new() { Policy = "boost" }), StringComparison.Ordinal);
        Assert.Contains("modality, speakers and frames have 40, 39 and 80", Assert.Throws<ArgumentException>(() => new SteeringRoles(1, Modality, Speakers.AsSpan(1), Frames)).Message, StringComparison.Ordinal);
        byte[] unknown = [.. Modality];
        unknown[3] = 77;
        Assert.Contains("modality[0,3] is 77", Assert.Throws<ArgumentException>(() => new SteeringRoles(1, unknown, Speakers, Frames)).Message, StringComparison.Ordinal);
        Assert.Contains("Growing", Assert.Throws<ArgumentException>(() => new SteeringScope(Roles(), new SteeringScopeSettings { Growing = true }, Roles())).Message, StringComparison.Ordinal);

        static string Refusal(SteeringScopeSettings settings) => Assert.Throws<ArgumentException>(() => new SteeringScope(Roles(), settings)).Message;
    }

    private static SteeringRoles Roles() => new(1, Modality, Speakers, Frames);

    private static OpNode Node(string domain, string op, int rows = Length)
    {
        OpNode node = new()
        {
            Domain = domain,
            Op = op,
            Opset = 23,
            Overrides = AttentionOverrides.All,
            Outputs = ["output"],
            Attributes = op switch
            {
                "GroupQueryAttention" => new() { ["num_heads"] = (long)Heads, ["kv_num_heads"] = (long)Heads },
                "MultiHeadAttention" => new() { ["num_heads"] = (long)Heads },
                _ => new() { ["q_num_heads"] = (long)Heads, ["kv_num_heads"] = (long)Heads, ["is_causal"] = 1L },
            },
        };
        AddTokens(node, rows);
        return op == "GroupQueryAttention" ? node.Skip(2).Add([Length - 1], 1).Add([Length], 1) : node;
    }

    private static OpNode AddTokens(OpNode node, int rows = Length)
    {
        Random random = new(5);
        foreach (int count in (int[])[rows, Length, Length])
        {
            node.Add([.. Enumerable.Range(0, count * Heads * Size).Select(_ => random.NextSingle() - 0.5f)], 1, count, Heads * Size);
        }
        return node;
    }
}
