using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Steering;

namespace AttentionKernels.Native;

/// <summary>attention_kernels_layer of the C interface.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeLayer
{
    private const int NodeBytes = 256;

    public nuint StructSize;
    public int Layer;
    public int Batch;
    public int Heads;
    public int Calls;
    public fixed byte Node[NodeBytes];

    /// <summary>Writes everything but the size, which the caller has set.</summary>
    /// <exception cref="ArgumentException">The size is another.</exception>
    public void Fill(SteeredLayerScores scores)
    {
        NativeCall.CheckSize(StructSize, sizeof(NativeLayer), "attention_kernels_layer");
        (Layer, Batch, Heads, Calls) = (scores.Layer, scores.Batch, scores.Heads, scores.Calls);
        fixed (byte* node = Node)
        {
            LastError.Copy(scores.Node, new Span<byte>(node, NodeBytes));
        }
    }
}
