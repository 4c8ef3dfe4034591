namespace AttentionKernels.Cli.Report;

/// <summary>What the run was asked to do.</summary>
/// <param name="Policy">social or none.</param>
/// <param name="Layers">The layers with SteeredAttention.</param>
/// <param name="Alpha">Strength of the bias.</param>
/// <param name="Lambda">Score above which a head is active.</param>
/// <param name="ClampNegative">Whether a negative bias counts as 0.</param>
/// <param name="BoxRule">When a visual token belongs to a box: any, centre, or the part of it that the box must cover.</param>
/// <param name="Tokenizer">Folder of the tokenizer, or "words" for the built-in one.</param>
/// <param name="Embeddings">The file, or "synthetic".</param>
/// <param name="Threads">ONNX Runtime's threads; 0: its own choice, one per core.</param>
internal sealed record SettingsReport(
    string Policy, IReadOnlyList<int> Layers, float Alpha, float Lambda, bool ClampNegative, string BoxRule, string Tokenizer, string Embeddings, int Threads);
