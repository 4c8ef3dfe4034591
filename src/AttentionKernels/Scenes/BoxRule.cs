using System.Globalization;

namespace AttentionKernels.Scenes;

/// <summary>
/// When a cell of the visual grid belongs to a box: any overlap (the default), the cell's centre inside the box, or at least a
/// given part of the cell covered. Papers leave this open, and it decides how many tokens a person has.
/// </summary>
/// <remarks>With several boxes of a person in one slot (two frames, say), a cell belongs to the person if it belongs to any of the boxes.</remarks>
public readonly record struct BoxRule
{
    private enum Kind
    {
        Overlap,
        Centre,
        Area,
    }

    private readonly Kind _kind;
    private readonly double _area;

    private BoxRule(Kind kind, double area)
    {
        _kind = kind;
        _area = area;
    }

    /// <summary>The box covers a part of the cell, however small.</summary>
    public static BoxRule AnyOverlap => default;

    /// <summary>The cell's centre lies in the box; left and top edges count as inside, right and bottom edges do not.</summary>
    public static BoxRule CentreInside => new(Kind.Centre, 0);

    /// <summary>The box covers at least the fraction <paramref name="tau"/> of the cell.</summary>
    /// <param name="tau">Above 0, at most 1.</param>
    public static BoxRule MinimumArea(double tau)
    {
        if (!(tau is > 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(tau), tau, "expected a fraction above 0 and at most 1");
        }
        return new BoxRule(Kind.Area, tau);
    }

    /// <summary>Reads a rule as a user types it: <c>any</c>, <c>centre</c> (or <c>center</c>), or a fraction such as <c>0.5</c>.</summary>
    public static bool TryParse(string? text, out BoxRule rule)
    {
        rule = AnyOverlap;
        switch (text)
        {
            case "any":
                return true;
            case "centre" or "center":
                rule = CentreInside;
                return true;
            default:
                if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double tau) && tau is > 0 and <= 1)
                {
                    rule = MinimumArea(tau);
                    return true;
                }
                return false;
        }
    }

    /// <summary>The rule in the form that <see cref="TryParse"/> reads.</summary>
    public override string ToString() => _kind switch
    {
        Kind.Overlap => "any",
        Kind.Centre => "centre",
        _ => _area.ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>Whether a box covers the cell [0, 1) x [0, 1). Edges in cells, relative to the cell.</summary>
    internal bool Covers(double left, double right, double top, double bottom)
    {
        double width = Math.Min(right, 1) - Math.Max(left, 0);
        double height = Math.Min(bottom, 1) - Math.Max(top, 0);
        if (width <= 0 || height <= 0)
        {
            return false;
        }
        return _kind switch
        {
            Kind.Overlap => true,
            Kind.Centre => left <= 0.5 && right > 0.5 && top <= 0.5 && bottom > 0.5,
            _ => width * height >= _area,
        };
    }
}
