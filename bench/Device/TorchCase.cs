using System.Text.Json;

namespace AttentionKernels.Bench.Device;

/// <summary>A case as torch_peer.py reads it.</summary>
/// <param name="Name">Its name: the same name is the same case.</param>
/// <param name="Type">"bfloat16" or "float16".</param>
/// <param name="Batch">B.</param>
/// <param name="Heads">H.</param>
/// <param name="KvHeads">Key and value heads.</param>
/// <param name="Rows">S.</param>
/// <param name="Keys">T.</param>
/// <param name="HeadSize">D.</param>
/// <param name="Causal">Whether a row sees no later key.</param>
/// <param name="Cache">Whether keys lie as [B, KvHeads, T, D], as in a cache, and not as [B, T, KvHeads, D].</param>
/// <param name="Caches">Caches that calls take in turns.</param>
/// <param name="Spoken">U: rows.</param>
/// <param name="Boxed">V_all: keys.</param>
/// <param name="Speakers">[T] bit masks.</param>
/// <param name="Frames">[T, 2] frames [first, end).</param>
internal sealed record TorchCase(
    string Name, string Type, int Batch, int Heads, int KvHeads, int Rows, int Keys, int HeadSize, bool Causal, bool Cache, int Caches, int[] Spoken, int[] Boxed, long[] Speakers, int[] Frames)
{
    /// <summary>How requests are written.</summary>
    public static JsonSerializerOptions Json { get; } = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Describes a case.</summary>
    public static TorchCase Of(in DeviceCase c, DeviceTensors tensors) => new(
        c.ToString(),
        c.Type == ElementType.Float16 ? "float16" : "bfloat16",
        c.Batch,
        c.Shape.Heads,
        c.Shape.KvHeads,
        c.Rows,
        c.Keys,
        c.Shape.HeadSize,
        c.Causal,
        c.Kind == DeviceCaseKind.Decode,
        tensors.Caches,
        tensors.Roles?.Spoken ?? [],
        tensors.Roles?.Boxed ?? [],
        tensors.Roles?.Speakers ?? [],
        tensors.Roles?.Spans ?? []);
}
