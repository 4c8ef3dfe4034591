using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>What rows make of their softmax partials once all keys are seen: the factors of their two outputs, with and without the bias, and their statistics.</summary>
/// <remarks>
/// With class maxima m, sums l and outputs O, rest class r, aligned class a, bias b = alpha * max(m_a, m_boxed):
/// <code>
/// M   = max(m_r, m_a + b)
/// t_a = l_a e^(m_a + b - M)          t_r = l_r e^(m_r - M)
/// out = (O_a e^(m_a + b - M) + O_r e^(m_r - M)) / (t_a + t_r)
/// </code>
/// and the same with b = 0. e^b alone is never formed: b may be thousands. All of it is in double, where no alpha * max overflows, four rows at a time.
/// </remarks>
internal unsafe struct SocialBiasFactors
{
    private const int Max = SpokenLanes.Max;

    /// <summary>[row] what O_r and O_a are multiplied by without the bias.</summary>
    public fixed float Rest[Max], Aligned[Max];

    /// <summary>[row] the same with the bias.</summary>
    public fixed float BiasedRest[Max], BiasedAligned[Max];

    /// <summary>[row] what a sum over aligned keys is multiplied by to become a probability without the bias.</summary>
    public fixed double AlignedProbability[Max];

    /// <summary>[row] see <see cref="SpokenRow"/>; all but the first only where alignment metrics are wanted.</summary>
    public fixed double Visual[Max], AlignedMass[Max], BiasedAlignedMass[Max], Largest[Max], BiasedLargest[Max];

    /// <summary>Works them out.</summary>
    /// <param name="bias">Strength.</param>
    /// <param name="split">Whether aligned keys have sums and outputs of their own; if not, there is no bias.</param>
    /// <param name="rows">Rows; rounded up to four.</param>
    /// <param name="lanes">Partials.</param>
    [SkipLocalsInit]
    public void Fill(in SocialBias bias, bool split, int rows, in SpokenLanes lanes)
    {
        Vector256<double> zero = Vector256<double>.Zero, one = Vector256<double>.One, nothing = Vector256.Create(double.NegativeInfinity);
        for (int i = 0; i < rows; i += Vector256<double>.Count)
        {
            Vector256<double> sumRest = Widen(lanes.SumRest + i), maxRest = MaxOf(lanes.MaxRest + i, sumRest);
            Vector256<double> sumAligned = Widen(lanes.SumAligned + i), maxAligned = MaxOf(lanes.MaxAligned + i, sumAligned);
            Vector256<double> baseAligned = split ? MaxOf(lanes.BaseAligned + i, sumAligned) : maxRest, sumBoxed = Widen(lanes.SumBoxed + i);

            Classes plain = new(split, maxRest, sumRest, baseAligned, sumAligned);
            Store(plain.Visual(sumAligned, sumBoxed), ref Visual[i]);
            Store(plain.AlignedFactor, ref AlignedProbability[i]);

            // A row that sees no aligned key has the bits of plain attention: 1 / sum, rounded once.
            Vector256<double> isPlain = split ? Vector256.Equals(maxAligned, nothing) : Vector256<double>.AllBitsSet;
            Vector256<double> unsplit = one / Vector256.ConditionalSelect(Vector256.Equals(sumRest, zero), one, sumRest);
            Narrow(Vector256.ConditionalSelect(isPlain, unsplit, plain.RestFactor), ref Rest[i]);
            Narrow(Vector256.ConditionalSelect(isPlain, zero, plain.AlignedFactor), ref Aligned[i]);

            Classes biased = plain;
            Vector256<double> added = zero;
            if (split)
            {
                Vector256<double> max = Vector256.Max(maxAligned, Widen(lanes.MaxBoxed + i)), some = ~Vector256.Equals(max, nothing);
                max = bias.ClampNegative ? Vector256.Max(zero, max) : max;
                added = Vector256.ConditionalSelect(some, Vector256.Create((double)bias.Alpha) * max, zero);
                biased = new(split, maxRest, sumRest, baseAligned + added, sumAligned);
                Narrow(Vector256.ConditionalSelect(isPlain, unsplit, biased.RestFactor), ref BiasedRest[i]);
                Narrow(Vector256.ConditionalSelect(isPlain, zero, biased.AlignedFactor), ref BiasedAligned[i]);
            }
            if (bias.Alignment != null)
            {
                Store(plain.AlignedMass(sumAligned), ref AlignedMass[i]);
                Store(biased.AlignedMass(sumAligned), ref BiasedAlignedMass[i]);
                Store(plain.Probability(maxAligned), ref Largest[i]);
                Store(biased.Probability(maxAligned + added), ref BiasedLargest[i]);
            }
        }
    }

    /// <summary>A vector maximum may drop a NaN logit, its sum never does: NaN must not look like a row that saw nothing.</summary>
    private static Vector256<double> MaxOf(float* max, Vector256<double> sum) =>
        Vector256.ConditionalSelect(Vector256.Equals(sum, sum), Widen(max), sum);

    private static Vector256<double> Widen(float* source) => Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe());

    private static void Narrow(Vector256<double> values, ref float target) => Vector128.Narrow(values.GetLower(), values.GetUpper()).StoreUnsafe(ref target);

    private static void Store(Vector256<double> values, ref double target) => values.StoreUnsafe(ref target);

    /// <summary>Four rows' classes under some bias.</summary>
    private readonly struct Classes
    {
        private readonly Vector256<double> _max, _total, _seen;

        /// <summary>What the two outputs are multiplied by; without a split the sum over all keys has the rest's.</summary>
        public readonly Vector256<double> RestFactor, AlignedFactor;

        public Classes(bool split, Vector256<double> maxRest, Vector256<double> sumRest, Vector256<double> maxAligned, Vector256<double> sumAligned)
        {
            Vector256<double> nothing = Vector256.Create(double.NegativeInfinity), one = Vector256<double>.One;
            Vector256<double> max = split ? Vector256.Max(maxRest, maxAligned) : maxRest;
            _seen = ~Vector256.Equals(max, nothing);
            _max = Vector256.ConditionalSelect(_seen, max, Vector256<double>.Zero);
            Vector256<double> rest = Exp(maxRest - _max), aligned = split ? Exp(maxAligned - _max) : rest;
            Vector256<double> total = split ? (sumAligned * aligned) + (sumRest * rest) : sumRest * rest;
            _total = Vector256.ConditionalSelect(_seen, total, one);
            (RestFactor, AlignedFactor) = (rest / _total, aligned / _total);
        }

        public Vector256<double> AlignedMass(Vector256<double> sumAligned) => OfSeen(sumAligned * AlignedFactor);

        public Vector256<double> Visual(Vector256<double> sumAligned, Vector256<double> sumBoxed) =>
            OfSeen((sumAligned * AlignedFactor) + (sumBoxed * RestFactor));

        /// <summary>Of a key with this logit, the bias included.</summary>
        public Vector256<double> Probability(Vector256<double> logit) => OfSeen(Exp(logit - _max) / _total);

        /// <summary>e^x, 0 below e^-700. The library's exponential takes the lanes one by one where any is near underflow.</summary>
        private static Vector256<double> Exp(Vector256<double> x)
        {
            Vector256<double> lowest = Vector256.Create(-700.0);
            return Vector256.ConditionalSelect(Vector256.LessThan(x, lowest), Vector256<double>.Zero, Vector256.Exp(Vector256.Max(x, lowest)));
        }

        private Vector256<double> OfSeen(Vector256<double> values) => Vector256.ConditionalSelect(_seen, values, Vector256<double>.Zero);
    }
}
