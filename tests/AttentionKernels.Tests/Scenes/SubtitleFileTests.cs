using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Scenes;

public class SubtitleFileTests
{
    [Fact]
    public void Both_Styles_Of_Names_Are_Read()
    {
        List<SceneLine> lines = SubtitleFile.Parse(
            """
            1
            00:00:01,500 --> 00:00:02,000
            (Sheldon:)That's my spot.

            2
            01:02:03.250 --> 01:02:04.000
            - Dr. Koothrappali: <i>Is it?</i>
            It is.
            - (Penny:) Note this: it is not.

            00:00:05,000 --> 00:00:04,000
            Note this: nobody speaks.
            unnamed
            """.ReplaceLineEndings("\r\n"),
            out int unnamed);
        Assert.Equal(
            [
                new SceneLine("Sheldon", 1.5, 2, "That's my spot."),
                new SceneLine("Dr. Koothrappali", 3723.25, 3724, "Is it? It is."),
                new SceneLine("Penny", 3723.25, 3724, "Note this: it is not."),
            ],
            lines);
        Assert.Equal(2, unnamed);
    }

    [Theory]
    [InlineData("1\nhello\n", "line 2")]
    [InlineData("1", "line 1")]
    [InlineData("\n\n7\n00:00:01,000 -> 00:00:02,000\nx", "line 4")]
    public void A_Cue_Without_A_Time_Names_The_Line(string text, string place) =>
        Assert.StartsWith(place, Assert.Throws<SceneException>(() => SubtitleFile.Parse(text, out _)).Message);

    [Fact]
    public void Damaged_Text_Gives_A_SceneException_Or_Lines() => RandomScene.ForAll(seed =>
    {
        Random random = new(seed);
        char[] text = "1\n00:00:01,000 --> 00:00:02,000\n(Ana:)Hi.\nBo: Yo.\n\n2\n00:00:03,000 --> 00:00:04,000\n- x\n".ToCharArray();
        for (int n = random.Next(1, 8); n > 0; n--)
        {
            text[random.Next(text.Length)] = "\n\r0:>-( )A\0<\u2028٣"[random.Next(13)];
        }
        try
        {
            // What is read is what a scene accepts.
            new Scene(new VideoSize(1, 1), [new SceneFrame(0, [])], SubtitleFile.Parse(new string(text), out _)).Validate();
        }
        catch (SceneException e)
        {
            Assert.StartsWith("line ", e.Message);
        }
    });
}
