using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Makes present from past and the new keys or values: [B, KvHeads, room, D].</summary>
internal static unsafe class KeyValueCache
{
    /// <summary>Copies past rows, then new rows behind them, and clears the rest. Past and present may be the same memory.</summary>
    /// <param name="present">Receives [B, KvHeads, room, size].</param>
    /// <param name="room">Rows of present.</param>
    /// <param name="past">[B, KvHeads, pastRoom, size]; null: none.</param>
    /// <param name="pastRoom">Rows of past.</param>
    /// <param name="added">New rows, [B, KvHeads, new, size] by strides.</param>
    /// <param name="heads">KvHeads.</param>
    /// <param name="size">Size of a head.</param>
    /// <param name="lengths">Where rows go.</param>
    /// <param name="keyLengths">[B] valid keys.</param>
    /// <param name="rotary">Applied to new rows if <paramref name="rotate"/>.</param>
    /// <param name="rotate">Whether these are keys with rotary embedding.</param>
    /// <param name="row">[size] working memory for it.</param>
    public static void Append(
        void* present, int room, void* past, int pastRoom, in TensorView added, int heads, int size,
        in SequenceLengths lengths, ReadOnlySpan<int> keyLengths, in RotaryEmbedding rotary, bool rotate, float* row)
    {
        int element = added.Type.Size();
        long rowBytes = (long)size * element;
        for (int b = 0; b < keyLengths.Length; b++)
        {
            int first = lengths.FirstNewKey(keyLengths[b]);
            for (int h = 0; h < heads; h++)
            {
                long head = ((long)b * heads) + h;
                byte* target = (byte*)present + (head * room * rowBytes);
                if (past != present)
                {
                    Buffer.MemoryCopy((byte*)past + (head * pastRoom * rowBytes), target, first * rowBytes, first * rowBytes);
                    NativeMemory.Clear(target + ((first + lengths.NewKeys) * rowBytes), (nuint)((room - first - lengths.NewKeys) * rowBytes));
                }
                for (int s = 0; s < lengths.NewKeys; s++)
                {
                    byte* to = target + ((first + s) * rowBytes);
                    if (!rotate)
                    {
                        Buffer.MemoryCopy((byte*)added.Data + (added.Offset(b, h, s) * element), to, rowBytes, rowBytes);
                        continue;
                    }
                    rotary.Rotate(added, b, h, s, first, row, size);
                    ElementRows.Narrow(added.Type, row, to, size);
                }
            }
        }
    }
}
