using System.Text;

namespace AttentionKernels.Scenes;

/// <summary>Appends the parts of a prompt one after the other and keeps the role arrays in step.</summary>
internal sealed class SceneTokensBuilder
{
    // No model has been trained anywhere near it, and sums of positions stay within an int.
    private const int MaxPosition = 1 << 24;

    private readonly Scene _scene;
    private readonly ITextTokenizer _tokenizer;
    private readonly TokenLayout _layout;
    private readonly Dictionary<string, int> _speakerIndex = new(StringComparer.Ordinal);

    // Position of the next text token on all three axes.
    private int _position;

    public SceneTokensBuilder(Scene scene, VisualGeometry geometry, ITextTokenizer tokenizer, TokenLayout layout, BoxRule rule)
    {
        if (geometry.TokensPerSlot < 1 || geometry.FramesPerSlot < 1 || !(geometry.Width > 0) || !(geometry.Height > 0))
        {
            throw new ArgumentException($"{geometry}: expected at least one cell, one frame per slot and a rectangle with an area", nameof(geometry));
        }
        (_scene, Geometry, _tokenizer, _layout) = (scene, geometry, tokenizer, layout);
        SpeakerNames = scene.Speakers;
        foreach (string name in SpeakerNames)
        {
            _speakerIndex.Add(name, _speakerIndex.Count);
        }
        AddSystem();
        AddTemplate(layout.UserPrefix + layout.VideoPrefix, AttentionKernels.Modality.Text);
        AddVideo(rule);
        AddTemplate(layout.VideoSuffix, AttentionKernels.Modality.Text);
        AddWords();
        AddTemplate(layout.UserSuffix, AttentionKernels.Modality.Text);
    }

    public List<int> TokenIds { get; } = [];

    public List<byte> Modality { get; } = [];

    public List<long> Speakers { get; } = [];

    public List<int> Frames { get; } = [];

    public List<int>[] Positions { get; } = [[], [], []];

    public IReadOnlyList<string> SpeakerNames { get; }

    public List<UtteranceSpan> Utterances { get; } = [];

    public List<SlotSpan> Slots { get; } = [];

    public VisualGeometry Geometry { get; }

    private void AddSystem()
    {
        if ((_scene.SystemPrompt ?? _layout.DefaultSystemPrompt) is string prompt)
        {
            AddTemplate(_layout.SystemPrefix, AttentionKernels.Modality.System);
            foreach (TextToken token in Checked(_tokenizer.Encode(prompt), prompt))
            {
                AddText(token.Id, AttentionKernels.Modality.System, 0, (0, 0));
            }
            AddTemplate(_layout.SystemSuffix, AttentionKernels.Modality.System);
        }
    }

    private void AddTemplate(string text, Modality modality)
    {
        foreach (TextToken token in Checked(_tokenizer.EncodeTemplate(text), text))
        {
            AddText(token.Id, modality, 0, (0, 0));
        }
    }

    private void AddVideo(BoxRule rule)
    {
        IReadOnlyList<TextToken> pad = Checked(_tokenizer.EncodeTemplate(_layout.VideoToken), _layout.VideoToken);
        if (pad.Count != 1)
        {
            throw new ArgumentException($"the layout's video token '{_layout.VideoToken}' is {pad.Count} tokens of this tokenizer, expected 1");
        }
        int frames = _scene.Frames.Count;
        int slots = Geometry.SlotCount(frames);
        int origin = _position;
        float secondsPerSlot = (float)(_layout.SecondsPerSlot ?? SecondsPerSlot());
        CheckTimeScale(secondsPerSlot, slots);
        long[] cells = new long[Geometry.TokensPerSlot];
        for (int slot = 0; slot < slots; slot++)
        {
            (int first, int end) = Geometry.FrameSpan(slot, frames);
            Array.Clear(cells);
            foreach (SpeakerBox box in _scene.Frames.Skip(first).Take(end - first).SelectMany(frame => frame.Boxes))
            {
                Geometry.Mark(box, rule, 1L << _speakerIndex[box.Speaker], cells);
            }
            // Cut off to a whole position, in single precision: this is how the model was trained.
            int time = (int)(slot * secondsPerSlot * (float)_layout.PositionsPerSecond);
            Slots.Add(new SlotSpan(slot, TokenIds.Count, TokenIds.Count + cells.Length, first, end));
            for (int cell = 0; cell < cells.Length; cell++)
            {
                Add(pad[0].Id, AttentionKernels.Modality.Visual, cells[cell], (first, end));
                Positions[0].Add(origin + time);
                Positions[1].Add(origin + (cell / Geometry.Columns));
                Positions[2].Add(origin + (cell % Geometry.Columns));
                _position = Math.Max(_position, origin + Math.Max(time, Math.Max(Geometry.Rows, Geometry.Columns) - 1) + 1);
            }
        }
    }

    /// <summary>Transcript and question are encoded in one piece, as the model sees them; a token belongs to the line in which it starts.</summary>
    private void AddWords()
    {
        StringBuilder words = new();
        int[] lineEnds = new int[_scene.Lines.Count];
        for (int l = 0; l < lineEnds.Length; l++)
        {
            words.Append(_scene.Lines[l].Speaker).Append(": ").Append(_scene.Lines[l].Text).Append('\n');
            lineEnds[l] = words.Length;
        }
        words.Append(_scene.Question);
        string text = words.ToString();
        IReadOnlyList<TextToken> tokens = Checked(_tokenizer.Encode(text), text);
        int at = 0;
        for (int l = 0; l < lineEnds.Length; l++)
        {
            int speaker = _speakerIndex[_scene.Lines[l].Speaker];
            (int First, int End) frames = FramesOf(_scene.Lines[l]);
            int first = TokenIds.Count;
            for (; at < tokens.Count && tokens[at].Start < lineEnds[l]; at++)
            {
                AddText(tokens[at].Id, AttentionKernels.Modality.Text, 1L << speaker, frames);
            }
            Utterances.Add(new UtteranceSpan(l, speaker, first, TokenIds.Count, frames.First, frames.End));
        }
        for (; at < tokens.Count; at++)
        {
            AddText(tokens[at].Id, AttentionKernels.Modality.Text, 0, (0, 0));
        }
    }

    /// <summary>The sampled frames within the line's time, or the nearest one; of two equally near, the earlier.</summary>
    private (int First, int End) FramesOf(SceneLine line)
    {
        int nearest = 0;
        int first = -1;
        int end = -1;
        for (int f = 0; f < _scene.Frames.Count; f++)
        {
            double distance = Distance(f);
            if (distance < Distance(nearest))
            {
                nearest = f;
            }
            if (distance == 0)
            {
                first = first < 0 ? f : first;
                end = f + 1;
            }
        }
        return first < 0 ? (nearest, nearest + 1) : (first, end);

        double Distance(int frame) => Math.Max(0, Math.Max(line.Start - _scene.Frames[frame].Time, _scene.Frames[frame].Time - line.End));
    }

    /// <summary>From the mean distance of the frames; 0 for a single frame, where nothing advances.</summary>
    private double SecondsPerSlot()
    {
        IReadOnlyList<SceneFrame> frames = _scene.Frames;
        return frames.Count < 2 ? 0 : Geometry.FramesPerSlot * (frames[^1].Time - frames[0].Time) / (frames.Count - 1);
    }

    private void CheckTimeScale(float secondsPerSlot, int slots)
    {
        double perSlot = secondsPerSlot * _layout.PositionsPerSecond;
        if (!(secondsPerSlot >= 0) || !(_layout.PositionsPerSecond >= 0) || !double.IsFinite(perSlot))
        {
            throw new ArgumentException(
                $"the layout has SecondsPerSlot {_layout.SecondsPerSlot} and PositionsPerSecond {_layout.PositionsPerSecond}, expected finite numbers >= 0");
        }
        if (perSlot * slots > MaxPosition)
        {
            throw new SceneException($"frames: {secondsPerSlot} seconds per slot reach temporal position {perSlot * slots:0}, expected at most {MaxPosition}");
        }
    }

    private void AddText(int id, Modality modality, long speakers, (int First, int End) frames)
    {
        Add(id, modality, speakers, frames);
        foreach (List<int> axis in Positions)
        {
            axis.Add(_position);
        }
        _position++;
    }

    private void Add(int id, Modality modality, long speakers, (int First, int End) frames)
    {
        TokenIds.Add(id);
        Modality.Add((byte)modality);
        Speakers.Add(speakers);
        Frames.Add(frames.First);
        Frames.Add(frames.End);
    }

    /// <summary>Tokenizers come from hosts; a wrong offset would give words to the wrong person without any other sign.</summary>
    private static IReadOnlyList<TextToken> Checked(IReadOnlyList<TextToken> tokens, string text)
    {
        int before = 0;
        for (int t = 0; t < tokens.Count; t++)
        {
            TextToken token = tokens[t];
            if (token.Id < 0 || token.Start < before || token.Length < 0 || token.Start + (long)token.Length > text.Length)
            {
                throw new ArgumentException($"the tokenizer's token {t} is {token}, expected an id >= 0 and an ascending span within {text.Length} characters");
            }
            before = token.Start;
        }
        return tokens;
    }
}
