using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Commands;

/// <summary>Options that demo and run share.</summary>
internal sealed class SteeringOptions
{
    private readonly Option<LayerRange?> _layers = new("--layers")
    {
        Description = "Layers that are measured and steered, as 10-19 or 3,5,10-19 or all. Default: the middle third, the paper's 10-19 of 28 scaled to the model's depth.",
        HelpName = "RANGE",
        CustomParser = ParseLayers,
    };

    private readonly Option<float> _alpha = new("--alpha")
    {
        Description = "Strength of the bias: a word's aligned keys are raised by alpha times the word's largest logit on boxed visual tokens.",
        HelpName = "NUMBER",
        DefaultValueFactory = _ => new SteeringSettings().Alpha,
        CustomParser = result => ParseNumber(result, float.IsFinite, "a finite number"),
    };

    // Without a default value, whose text in the help would be 5E-05.
    private readonly Option<float?> _lambda = new("--lambda")
    {
        Description = "Head score, the mean attention from a spoken word to a boxed visual token, above which a head is active. Default: the paper's 5e-5.",
        HelpName = "NUMBER",
        CustomParser = result => ParseNumber(result, value => !float.IsNaN(value), "a number"),
    };

    private readonly Option<bool> _clamp = new("--clamp-negative") { Description = "Use 0 instead of a negative bias, which would push attention away from the speaker." };

    private readonly Option<BoxRule> _boxRule = new("--box-rule")
    {
        Description = "When a visual token belongs to a box: any (overlap), centre (inside), or area:0.5 (at least that part of it covered).",
        HelpName = "any|centre|area:N",
        DefaultValueFactory = _ => BoxRule.AnyOverlap,
        CustomParser = ParseBoxRule,
    };

    private readonly Option<int> _threads = CountOption.Create("--threads", "ONNX Runtime's threads; 0: one per core.", 0, least: 0);

    private readonly Option<string?> _json = new("--json") { Description = "Also write every number of the report to this file.", HelpName = "FILE" };

    /// <summary>Adds the options to a command.</summary>
    public SteeringOptions(Command command)
    {
        foreach (Option option in (Option[])[_layers, _alpha, _lambda, _clamp, _boxRule, _threads, _json])
        {
            command.Options.Add(option);
        }
    }

    /// <summary>Settings of the steered model; the policy is for the command to decide.</summary>
    public SteeringSettings GetSettings(ParseResult parsed) => new()
    {
        Layers = parsed.GetValue(_layers),
        Alpha = parsed.GetValue(_alpha),
        Lambda = parsed.GetValue(_lambda) ?? new SteeringSettings().Lambda,
        ClampNegative = parsed.GetValue(_clamp),
    };

    /// <summary>When a visual token belongs to a box.</summary>
    public BoxRule GetBoxRule(ParseResult parsed) => parsed.GetValue(_boxRule);

    /// <summary>ONNX Runtime's threads.</summary>
    public int GetThreads(ParseResult parsed) => parsed.GetValue(_threads);

    /// <summary>Where the report goes, or null.</summary>
    public string? GetJson(ParseResult parsed) => parsed.GetValue(_json);

    /// <summary>Reads a box rule: as <see cref="BoxRule.TryParse"/>, with "area:" before a number.</summary>
    public static BoxRule ParseBoxRule(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        const string area = "area:";
        if (!BoxRule.TryParse(text.StartsWith(area, StringComparison.Ordinal) ? text[area.Length..] : text, out BoxRule rule))
        {
            result.AddError($"--box-rule is '{text}', expected any, centre, or area:N with N above 0 and at most 1.");
        }
        return rule;
    }

    private static LayerRange? ParseLayers(ArgumentResult result)
    {
        if (!LayerRange.TryParse(result.Tokens[0].Value, out LayerRange layers, out string? fault))
        {
            result.AddError(fault);
        }
        return layers;
    }

    private static float ParseNumber(ArgumentResult result, Func<float, bool> accepts, string expected)
    {
        string text = result.Tokens[0].Value;
        if (!float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out float value) || !accepts(value))
        {
            result.AddError($"{((OptionResult)result.Parent!).Option.Name} is '{text}', expected {expected}.");
        }
        return value;
    }
}
