using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Run;

/// <summary>What to run.</summary>
internal sealed record RunRequest
{
    /// <summary>The model.</summary>
    public required DecoderModel Model { get; init; }

    /// <summary>The scene.</summary>
    public required SceneInput Scene { get; init; }

    /// <summary>What the steered model does.</summary>
    public SteeringSettings Steering { get; init; } = new();

    /// <summary>Folder with the model's vocab.json and merges.txt; null: the built-in word tokenizer.</summary>
    public string? TokenizerFolder { get; init; }

    /// <summary>A .npy file of embeddings; null: synthetic ones.</summary>
    public string? EmbeddingsPath { get; init; }

    /// <summary>When a visual token belongs to a box.</summary>
    public BoxRule BoxRule { get; init; }

    /// <summary>ONNX Runtime's threads; 0: its own choice, one per core.</summary>
    public int Threads { get; init; }

    /// <summary>Timed runs of each model, at most.</summary>
    public int Rounds { get; init; } = 3;

    /// <summary>Bytes of memory that the models may take; those that do not fit together run one after the other.</summary>
    public long Memory { get; init; } = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
}
