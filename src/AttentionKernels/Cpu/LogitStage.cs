namespace AttentionKernels.Cpu;

/// <summary>How far the logits of a call have come, in the order in which <see cref="AttentionProblem"/> computes them.</summary>
internal enum LogitStage
{
    /// <summary>Scale * q.k of every row and key; nothing is hidden.</summary>
    Scaled,

    /// <summary>The same after the soft-cap.</summary>
    Softcapped,

    /// <summary>After bias and masks: what the softmax gets.</summary>
    Masked,

    /// <summary>The softmax; a sink takes its part of the row's sum. 0 for keys that a row does not see.</summary>
    Probability,
}
