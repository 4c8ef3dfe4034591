namespace AttentionKernels.Cuda;

/// <summary>One call of the CUDA engine: a problem on the device, and what the host must know of it to plan the work.</summary>
/// <remarks>
/// Tensors, lengths, sinks, gates and results of <see cref="Problem"/> and <see cref="Bias"/> are device memory; roles (<see cref="SocialBias.Keys"/>,
/// <see cref="SocialBias.Queries"/>) are host memory, for what they mean is worked out on the host. Where there are roles, it must know lengths and positions, too. A plain call reads
/// none: a CUDA graph of it stays right when lengths on the device change.
/// </remarks>
internal unsafe struct CudaCall
{
    /// <summary>Shapes and device tensors. All of one element type.</summary>
    public AttentionProblem Problem;

    /// <summary>Roles in host memory; the rest in device memory.</summary>
    public SocialBias Bias;

    /// <summary>Whether the problem's HeadSink is memory to be set to 0 first: a key without value and with logit 0.</summary>
    public bool ClearsHeadSink;

    /// <summary>What happens to new rows before.</summary>
    public CudaAppend Append;

    /// <summary>What the problem's Bias is made of before.</summary>
    public CudaMask Mask;

    /// <summary>
    /// [B] valid keys of each element in host memory; null: KeyLength for all. If the problem has none on the device, they are uploaded. Needed where there are both roles and lengths on the device.
    /// </summary>
    public int* HostKeyLengths;

    /// <summary>[B] position of row 0 in host memory; null: KeyLength - QueryLength for all. As <see cref="HostKeyLengths"/>.</summary>
    public int* HostQueryOffsets;

    /// <summary>[B, H] scores in host memory that decide which heads are active, instead of <see cref="SocialBias.HeadScoresIn"/>; null: none.</summary>
    public float* HostGate;

    /// <summary>The problem with lengths that the host can read.</summary>
    public readonly AttentionProblem HostProblem
    {
        get
        {
            AttentionProblem problem = Problem;
            problem.KeyLengths = HostKeyLengths;
            problem.QueryOffsets = HostQueryOffsets;
            return problem;
        }
    }

    /// <summary>Checks what can be checked on the host.</summary>
    /// <exception cref="ArgumentException">The message names the member, its value and what was expected.</exception>
    public readonly void Validate()
    {
        HostProblem.Validate(Bias);
        ElementType type = Problem.Query.Type;
        Require(Problem.Key.Type == type, $"Key is {Problem.Key.Type}, expected {type} as Query");
        Require(Problem.Output.IsEmpty || Problem.Output.Type == type, $"Output is {Problem.Output.Type}, expected {type} as Query");
        Require(Problem.Bias.IsEmpty || Problem.Bias.Type == type, $"Bias is {Problem.Bias.Type}, expected {type} as Query");
        CheckLimits();
        Require(Bias.SpeakerScores == null || Problem.Value.IsEmpty, "SpeakerScores and Value are given, expected at most one of them: the CUDA engine has scores by speaker only where scores alone are wanted");
        Require(Bias.SpeakerScores == null || Bias.SpeakerCount > 0, $"SpeakerCount is {Bias.SpeakerCount}, expected 1..63 for SpeakerScores");
        if (!Bias.Keys.IsEmpty)
        {
            Require((Problem.KeyLengths == null) || (HostKeyLengths != null), "KeyLengths are on the device and there are roles, expected HostKeyLengths");
            Require((Problem.QueryOffsets == null) || (HostQueryOffsets != null), "QueryOffsets are on the device and there are roles, expected HostQueryOffsets");
        }

        static void Require(bool holds, string message)
        {
            if (!holds)
            {
                throw new ArgumentException(message);
            }
        }
    }

    /// <summary>The part of <see cref="Validate"/> about what kernels can count and a grid can hold: for callers whose shapes are checked already. Allocates nothing.</summary>
    /// <exception cref="ArgumentException">As above.</exception>
    public readonly void CheckLimits()
    {
        if (Problem.Heads > MaxGrid || Problem.Batch > MaxGrid)
        {
            throw new ArgumentException($"Heads, Batch are {Problem.Heads}, {Problem.Batch}, expected at most {MaxGrid}");
        }
        if (Append.IsNeeded && Problem.Heads + (2L * Problem.KvHeads) > MaxGrid)
        {
            throw new ArgumentException($"Heads, KvHeads are {Problem.Heads}, {Problem.KvHeads}, expected Heads + 2 * KvHeads to be at most {MaxGrid}");
        }
        if (Mask.Data != null && Mask.Keys > MaxGrid * MaskKeys)
        {
            throw new ArgumentException($"the mask has {Mask.Keys} keys, expected at most {MaxGrid * MaskKeys}");
        }
        if (Problem.KeyLength >= MaxLength || Problem.QueryLength >= MaxLength)
        {
            throw new ArgumentException($"KeyLength, QueryLength are {Problem.KeyLength}, {Problem.QueryLength}, expected less than {MaxLength}");
        }
        for (int b = 0; b < Problem.Batch && HostQueryOffsets != null; b++)
        {
            if (HostQueryOffsets[b] is <= -MaxLength or >= MaxLength)
            {
                throw new ArgumentException($"QueryOffsets[{b}] is {HostQueryOffsets[b]}, expected less than {MaxLength} either way");
            }
        }
    }

    /// <summary>What lengths and positions stay below: kernels add two of them in 32 bits.</summary>
    private const int MaxLength = 1 << 29;

    /// <summary>Most blocks along the second axis of a grid.</summary>
    private const int MaxGrid = 65535;

    /// <summary>Keys of a block of MaskBias.</summary>
    private const int MaskKeys = 1024;
}
