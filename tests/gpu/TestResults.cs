using System.Globalization;
using System.Xml.Linq;

namespace AttentionKernels.GpuCheck;

/// <summary>What a run of the tests gave.</summary>
/// <param name="Passed">Tests that passed.</param>
/// <param name="Failed">Tests that failed.</param>
/// <param name="NotRun">Tests that were chosen and did not run.</param>
/// <param name="Seconds">Time of the tests.</param>
/// <param name="Failures">Those that failed.</param>
internal sealed record TestResults(int Passed, int Failed, int NotRun, double Seconds, TestFailure[] Failures)
{
    /// <summary>Whether tests ran and all of them passed.</summary>
    public bool IsGood => Passed > 0 && Failed == 0 && NotRun == 0;

    /// <summary>Reads a result file in the format of xunit.net.</summary>
    /// <exception cref="IOException">It is none.</exception>
    public static TestResults Read(string file)
    {
        try
        {
            XElement[] assemblies = [.. XDocument.Load(file).Root!.Elements("assembly")];
            // A fixture or a class that cannot be made is an error beside the tests.
            TestFailure[] errors = [.. assemblies.Elements("errors").Elements("error").Select(error => new TestFailure((string?)error.Attribute("name") ?? (string?)error.Attribute("type") ?? "error", Message(error)))];
            TestFailure[] failures = [.. assemblies.Descendants("test").Where(test => (string?)test.Attribute("result") == "Fail").Select(test => new TestFailure((string)test.Attribute("name")!, Message(test)))];
            return new TestResults(
                Sum("passed"), Sum("failed") + errors.Length, Sum("skipped") + Sum("not-run"), assemblies.Sum(a => double.Parse((string)a.Attribute("time")!, CultureInfo.InvariantCulture)),
                [.. errors, .. failures]);

            int Sum(string name) => assemblies.Sum(assembly => (int?)assembly.Attribute(name) ?? 0);
        }
        catch (Exception e) when (e is System.Xml.XmlException or FormatException or ArgumentNullException or NullReferenceException)
        {
            throw new IOException($"{file} is no result file of the tests: {e.Message}", e);
        }

        static string Message(XElement element) => ((string?)element.Element("failure")?.Element("message") ?? "no message").Trim();
    }
}
