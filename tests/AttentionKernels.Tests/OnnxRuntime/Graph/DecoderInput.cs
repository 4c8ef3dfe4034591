using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>One sequence for a generated decoder: words, cells of a small video, words of speakers.</summary>
internal sealed record DecoderInput
{
    /// <summary>Tokens T.</summary>
    public required int Length { get; init; }

    /// <summary>[T, Hidden]</summary>
    public required float[] Embeddings { get; init; }

    /// <summary>[3][T]</summary>
    public required long[][] Positions { get; init; }

    /// <summary>[T]</summary>
    public required byte[] Modality { get; init; }

    /// <summary>[T]</summary>
    public required long[] Speakers { get; init; }

    /// <summary>[T, 2]: everything lies in frame 0.</summary>
    public int[] Frames => [.. Enumerable.Range(0, 2 * Length).Select(i => i % 2)];

    /// <summary>A prompt, <paramref name="slots"/> pictures with two speakers' boxes, then words: two in three are spoken, in turn.</summary>
    public static DecoderInput Create(DecoderConfig config, int prompt, int slots, int rows, int columns, int words)
    {
        int cells = rows * columns;
        int length = prompt + (slots * cells) + words;
        int afterVideo = prompt + Math.Max(2 * slots, Math.Max(rows, columns));
        int[] ids = new int[length];
        byte[] modality = new byte[length];
        long[] speakers = new long[length];
        long[][] positions = [new long[length], new long[length], new long[length]];
        for (int t = 0; t < length; t++)
        {
            int cell = t - prompt, word = t - prompt - (slots * cells);
            if (cell < 0 || word >= 0)
            {
                int position = word >= 0 ? afterVideo + word : t;
                (positions[0][t], positions[1][t], positions[2][t]) = (position, position, position);
                ids[t] = t * 31 % 89;
                modality[t] = (byte)(word >= 0 ? AttentionKernels.Modality.Text : AttentionKernels.Modality.System);
                speakers[t] = word < 0 || word % 15 >= 10 ? 0 : 1 << (word / 15 % 2);
            }
            else
            {
                (int slot, int row, int column) = (cell / cells, cell % cells / columns, cell % columns);
                (positions[0][t], positions[1][t], positions[2][t]) = (prompt + (2 * slot), prompt + row, prompt + column);
                modality[t] = (byte)AttentionKernels.Modality.Visual;
                bool inside = row >= rows / 4 && row < (3 * rows / 4) + 1;
                speakers[t] = !inside ? 0 : column < columns / 4 ? 1 : column > 2 * columns / 3 ? 2 : 0;
            }
        }
        return new DecoderInput
        {
            Length = length,
            Embeddings = new SyntheticEmbeddings(config).Rows(ids, modality, speakers),
            Positions = positions,
            Modality = modality,
            Speakers = speakers,
        };
    }

    /// <summary>The rows of U and the keys of V_all.</summary>
    public (int[] Spoken, int[] Boxed) Roles()
    {
        IEnumerable<int> WithSpeaker(Modality wanted) => Enumerable.Range(0, Length).Where(t => Modality[t] == (byte)wanted && Speakers[t] != 0);
        return ([.. WithSpeaker(AttentionKernels.Modality.Text)], [.. WithSpeaker(AttentionKernels.Modality.Visual)]);
    }
}
