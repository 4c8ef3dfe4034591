using FsCheck;
using FsCheck.Fluent;

namespace AttentionKernels.Tests.Support;

/// <summary>Runs FsCheck properties over random cases.</summary>
internal static class Properties
{
    /// <summary>Checks <paramref name="law"/> on random <see cref="CaseSpec"/>s.</summary>
    public static void ForAll(int cases, Action<CaseSpec> law, ulong salt = 0, Func<CaseSpec, CaseSpec>? restrict = null) =>
        ForAll(CaseSpec.Arbitrary, cases, law, salt, restrict);

    /// <summary>
    /// Checks <paramref name="law"/> on random cases. ATTNK_CASE replays one; ATTNK_SEED=n explores other cases than the fixed ones, so that a
    /// run of the suite does not depend on luck but more can be tried at will; ATTNK_TEST_CASES=n tries n times as many.
    /// </summary>
    public static void ForAll<T>(Arbitrary<T> arbitrary, int cases, Action<T> law, ulong salt = 0, Func<T, T>? restrict = null)
        where T : class, new()
    {
        if (Environment.GetEnvironmentVariable("ATTNK_CASE") is { Length: > 0 } text)
        {
            law(SpecText.Parse<T>(text));
            return;
        }
        cases *= int.TryParse(Environment.GetEnvironmentVariable("ATTNK_TEST_CASES"), out int factor) ? factor : 1;
        ulong seed = ulong.TryParse(Environment.GetEnvironmentVariable("ATTNK_SEED"), out ulong given) ? given : 20251117;
        // FsCheck's generator counts up by the odd step: with seeds that lie close and a small step, tests would walk through the same cases.
        const ulong Step = 0x9e3779b97f4a7c15;
        Config config = Config.QuickThrowOnFailure.WithMaxTest(cases).WithReplay((seed * 0xbf58476d1ce4e5b9) ^ (salt * 0x94d049bb133111eb), Step);
        Prop.ForAll(arbitrary, spec =>
        {
            law(restrict == null ? spec : restrict(spec));
            return true;
        }).Check(config);
    }
}
