namespace AttentionKernels.OnnxRuntime;

/// <summary>Which of ONNX Runtime's own operators this library computes in a session, with no change of the model.</summary>
/// <remarks>
/// GroupQueryAttention and MultiHeadAttention are for models that import com.microsoft, as those that have such nodes do. In another model a custom domain of that name
/// hides what ONNX Runtime's own fusions put in, and it refuses the model ("com.microsoft:FusedMatMul(-1) is not a registered function/op").
/// </remarks>
[Flags]
public enum AttentionOverrides
{
    /// <summary>None: ONNX Runtime computes its own operators.</summary>
    None = 0,

    /// <summary>com.microsoft::GroupQueryAttention.</summary>
    GroupQueryAttention = 1,

    /// <summary>com.microsoft::MultiHeadAttention.</summary>
    MultiHeadAttention = 2,

    /// <summary>ai.onnx::Attention, opset 23 and later.</summary>
    OnnxAttention = 4,

    /// <summary>Every one of them.</summary>
    All = GroupQueryAttention | MultiHeadAttention | OnnxAttention,
}
