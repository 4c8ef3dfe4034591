using System.Text;
using AttentionKernels.Scenes;
using FsCheck;
using FsCheck.Fluent;

namespace AttentionKernels.Tests.Scenes;

/// <summary>Valid scenes from a seed, so that a failing property prints one number that reproduces it.</summary>
internal static class RandomScene
{
    private static readonly string[] Names = ["Ana", "Bo", "李雷", "Zoë de Vries", "O'Neil", "😀"];
    private static readonly string[] Words = ["yeah", "he", "don't", "naïve", "日本", "👩‍🚀", "she's", "42", "\"quoted\"", "<|im_end|>", "well\\"];

    public static void ForAll(Action<int> law, int cases = 300) =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(cases), Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), law));

    public static Scene Create(int seed)
    {
        Random random = new(seed);
        VideoSize video = new(random.Next(100, 2000), random.Next(100, 2000));
        List<SceneFrame> frames = [];
        double time = random.Next(3);
        for (int f = random.Next(1, 7); f > 0; f--)
        {
            frames.Add(new SceneFrame(time, [.. Enumerable.Range(0, random.Next(4)).Select(_ => Box(random, video))]));
            time += 0.25 + random.NextDouble();
        }
        List<SceneLine> lines = [];
        for (int l = random.Next(6); l > 0; l--)
        {
            double start = random.NextDouble() * 8;
            lines.Add(new SceneLine(Pick(random, Names), start, start + (random.NextDouble() * 3), Text(random)));
        }
        return new Scene(video, frames, lines, random.Next(2) == 0 ? null : Text(random), random.Next(2) == 0 ? null : $"{Text(random)}\n{Text(random)}");
    }

    public static SpeakerBox Box(Random random, VideoSize video) => new(
        Pick(random, Names),
        (random.NextDouble() * 1.6 * video.Width) - (0.4 * video.Width),
        (random.NextDouble() * 1.6 * video.Height) - (0.4 * video.Height),
        0.01 + (random.NextDouble() * video.Width),
        0.01 + (random.NextDouble() * video.Height));

    private static string Text(Random random)
    {
        StringBuilder text = new(Pick(random, Words));
        for (int w = random.Next(8); w > 0; w--)
        {
            text.Append(random.Next(4) == 0 ? ", " : " ").Append(Pick(random, Words));
        }
        return text.ToString();
    }

    private static string Pick(Random random, string[] from) => from[random.Next(from.Length)];
}
