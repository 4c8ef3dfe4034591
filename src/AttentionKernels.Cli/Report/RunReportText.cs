using System.Globalization;
using AttentionKernels.Cli.Run;
using Spectre.Console;

namespace AttentionKernels.Cli.Report;

/// <summary>Prints a report for people.</summary>
internal static class RunReportText
{
    private const int HeadsShown = 4;

    /// <summary>Prints everything.</summary>
    public static void Write(IAnsiConsole console, RunReport report)
    {
        WriteFacts(console, report);
        WriteLayers(console, report);
        WriteTimes(console, report.Times);
        WriteCheck(console, report);
    }

    /// <summary>Prints a scene's people and tokens.</summary>
    public static void WriteScene(IAnsiConsole console, SceneReport scene)
    {
        Grid facts = Facts();
        AddScene(facts, scene);
        console.Write(facts);
        Table table = NewTable();
        table.AddColumn("Speaker");
        foreach (string column in (string[])["Lines", "Spoken tokens", "Boxed visual tokens"])
        {
            table.AddColumn(column, c => c.RightAligned());
        }
        foreach (SpeakerReport speaker in scene.Speakers)
        {
            table.AddRow(Markup.Escape(speaker.Name), Text($"{speaker.Lines}"), Text($"{speaker.SpokenTokens}"), Text($"{speaker.BoxedTokens}"));
        }
        console.Write(table);
    }

    private static void WriteFacts(IAnsiConsole console, RunReport report)
    {
        (MachineReport machine, ModelReport model, SettingsReport settings) = (report.Machine, report.Model, report.Settings);
        Grid facts = Facts();
        Add(
            facts, "Machine",
            $"attnk {machine.Tool}, ONNX Runtime {machine.OnnxRuntime}, {machine.DotNet}, {machine.Architecture}, {machine.Processors} processors, {machine.InstructionSet}, "
            + (settings.Threads == 0 ? "threads: one per core" : $"threads: {settings.Threads}"));
        Add(
            facts, "Model",
            $"{model.Name}: {model.Layers} layers of {model.Heads} heads ({model.KvHeads} for keys and values), hidden size {model.Hidden}, "
            + Text($"{model.Parameters / 1e6:0.#} M parameters, {model.ElementType}"));
        if (model.RandomWeights)
        {
            Add(facts, "", "Its weights are random. Sinks and grounding are planted in them by hand: it shows the mechanism, not language.");
        }
        if (settings.Embeddings == "synthetic")
        {
            Add(facts, "", "Its input embeddings are synthetic: no vision encoder and no embedding table took part.");
        }
        AddScene(facts, report.Scene);
        Add(
            facts, "Steering",
            settings.Policy == "none"
                ? Text($"none: heads of layer{(settings.Layers.Count == 1 ? "" : "s")} {Ranges(settings.Layers)} are measured; lambda {settings.Lambda:g6} says which would be active")
                : Text($"social bias in layer{(settings.Layers.Count == 1 ? "" : "s")} {Ranges(settings.Layers)}, alpha {settings.Alpha:g6}, lambda {settings.Lambda:g6}{(settings.ClampNegative ? ", negative biases count as 0" : "")}"));
        console.Write(facts);
    }

    private static void AddScene(Grid facts, SceneReport scene)
    {
        Add(facts, "Scene", $"{scene.Name}: {scene.Frames} frames, {scene.Lines} lines, {scene.Speakers.Count} people ({string.Join(", ", scene.Speakers.Select(s => s.Name))})");
        Add(
            facts, "",
            $"{scene.Tokens} tokens, {scene.VisualTokens} of them visual ({scene.Slots} slots of {scene.Rows} x {scene.Columns}); "
            + $"|U| = {scene.SpokenTokens} spoken, |V_all| = {scene.BoxedTokens} in somebody's box");
    }

    private static void WriteLayers(IAnsiConsole console, RunReport report)
    {
        bool steered = report.Settings.Policy != "none";
        Table table = NewTable();
        table.AddColumn("Layer", c => c.RightAligned());
        table.AddColumn("Active", c => c.RightAligned());
        table.AddColumn("Highest scores (head:score)");
        table.AddColumn("Mean aligned attention", c => c.RightAligned());
        table.AddColumn("Max aligned attention", c => c.RightAligned());
        foreach (LayerReport layer in report.Layers)
        {
            IEnumerable<string> heads = layer.Heads
                .OrderByDescending(head => head.Score)
                .Take(HeadsShown)
                .Select(head => head.Active ? Text($"[bold]{head.Head}:{head.Score:0.0e-0}*[/]") : Text($"{head.Head}:{head.Score:0.0e-0}"));
            AlignmentReport? mean = layer.ActiveAlignment;
            table.AddRow(
                Text($"{layer.Layer}"),
                Text($"{layer.ActiveHeads} / {layer.TotalHeads}"),
                string.Join("  ", heads),
                mean == null ? "-" : Change(mean.MeanBefore, mean.MeanAfter, steered),
                mean == null ? "-" : Change(mean.MaxBefore, mean.MaxAfter, steered));
        }
        console.Write(table);
        console.WriteLine("* active: the score, the mean attention from words to boxed visual tokens, is above lambda.");
        console.WriteLine("Aligned attention: from a speaker's words to the visual tokens in that speaker's boxes at that time; mean and largest");
        console.WriteLine($"of a word's tokens, averaged over words and active heads{(steered ? ", before → after this layer's bias" : "")}.");
        if (report.Layers.All(layer => layer.ActiveHeads == 0))
        {
            console.WriteLine(Text($"No head is active{(steered ? ", so nothing was steered" : "")}: the highest score is {report.Layers.Max(layer => layer.Heads.Max(head => head.Score)):0.0e-0}; try a smaller --lambda."));
        }
    }

    private static void WriteTimes(IAnsiConsole console, TimeReport times)
    {
        Table table = NewTable();
        string order = times.Interleaved ? "taking turns" : "one model after the other";
        table.AddColumn(times.Rounds == 1 ? "Prefill, one run each" : $"Prefill, median of {times.Rounds} runs, {order}");
        table.AddColumn("Time", c => c.RightAligned());
        table.AddColumn("Ratio", c => c.RightAligned());
        AddTime(Variant.BuiltIn, times.BuiltIn);
        AddTime(Variant.Measured, times.Measured);
        if (times.Steered != null)
        {
            AddTime(Variant.Steered, times.Steered);
        }
        console.Write(table);

        void AddTime(Variant variant, VariantTime time) =>
            table.AddRow(variant.Name(), time.MedianMs < 100 ? Text($"{time.MedianMs:0.0} ms") : Text($"{time.MedianMs:#,0} ms"), Text($"{time.RatioToBuiltIn:0.00}"));
    }

    private static void WriteCheck(IAnsiConsole console, RunReport report)
    {
        CheckReport check = report.Check;
        Grid facts = Facts();
        Add(
            facts, "Check",
            Text($"Unsteered, SteeredAttention's logits differ from the built-in ones by at most {Size(check.Rewriting.Largest)}, of logits up to {Size(check.Logits.Largest)}: ")
            + (check.Passed ? "only rounding." : "MORE THAN ROUNDING."));
        Add(
            facts, "",
            Text($"(Moving every embedding by one {report.Model.ElementType} step moves the built-in logits by {Size(check.OneStep)}; allowed is {Size(check.Allowed)}.)"));
        if (check.Steering is LogitDifference steering)
        {
            Add(facts, "", Text($"Steering moved the logits by at most {Size(steering.Largest)}, root mean square {Size(steering.RootMeanSquare)}."));
        }
        console.Write(facts);
    }

    private static string Change(double before, double after, bool steered) =>
        steered ? Text($"{before:0.00e-0} → {after:0.00e-0} (x{after / before:0.0})") : Text($"{before:0.00e-0}");

    private static string Size(double value) => value is 0 or >= 0.01 ? Text($"{value:0.###}") : Text($"{value:0.0e-0}");

    /// <summary>Ascending numbers as ranges: 5-9,12.</summary>
    private static string Ranges(IReadOnlyList<int> numbers) =>
        string.Join(
            ',',
            numbers.Select((number, i) => (Number: number, Start: number - i)).GroupBy(n => n.Start, n => n.Number)
                .Select(range => range.First() == range.Last() ? Text($"{range.First()}") : Text($"{range.First()}-{range.Last()}")));

    private static Grid Facts() => new Grid().AddColumn(new GridColumn().NoWrap().PadRight(2)).AddColumn();

    private static void Add(Grid grid, string name, string text) => grid.AddRow($"[bold]{name}[/]", Markup.Escape(text));

    private static Table NewTable() => new Table().Border(TableBorder.Simple);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
