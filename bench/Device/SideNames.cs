namespace AttentionKernels.Bench.Device;

/// <summary>Names of sides.</summary>
internal static class SideNames
{
    /// <summary>Ours: plain attention; steered with scores out; scores alone; a decode step; new rows put into the cache, then attention.</summary>
    public const string Plain = "plain", Steered = "steered", Scores = "scores", Decode = "decode", Append = "append";

    /// <summary>PyTorch's scaled_dot_product_attention with the FlashAttention and the cuDNN backend forced, and of a decode step.</summary>
    public const string TorchFlash = "torch flash", TorchCudnn = "torch cudnn", TorchDecode = "torch decode";

    /// <summary>PyTorch's FlashAttention and then scores of heads from logits and probabilities of the rows of U.</summary>
    public const string TorchScores = "torch scores";

    /// <summary>PyTorch with the steering added to logits: as a mask [B, H, S, S], and by FlexAttention's score_mod.</summary>
    public const string TorchDense = "torch dense", TorchFlex = "torch flex";

    /// <summary>PyTorch's sides of a kind of case.</summary>
    public static IReadOnlyList<string> TorchOf(in DeviceCase c) => c.Kind switch
    {
        _ when c.Type == ElementType.Float32 => [],
        DeviceCaseKind.Prefill => [TorchFlash, TorchCudnn],
        DeviceCaseKind.Steered when c.Dense => [TorchFlash, TorchCudnn, TorchScores, TorchDense, TorchFlex],
        DeviceCaseKind.Steered => [TorchFlash, TorchCudnn, TorchScores],
        DeviceCaseKind.Decode => [TorchDecode],
        _ => [],
    };
}
