using System.Globalization;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// What the CUDA laws run on: the emulator, or, where <see cref="Variable"/> has the number of a device, the real driver. The laws are the same; classes that may run on a device have the trait
/// <see cref="Trait"/>, and everything else is about the emulator, the stub or the host and refuses to run there.
/// </summary>
internal abstract unsafe class TestDevice : IDisposable
{
    /// <summary>Environment variable with the number of a CUDA device; unset: the emulator.</summary>
    public const string Variable = "ATTNK_TEST_DEVICE";

    /// <summary>Name of the trait of classes whose laws may run on a device; its value is <see cref="Yes"/>.</summary>
    public const string Trait = "device";

    /// <summary>Value of <see cref="Trait"/>.</summary>
    public const string Yes = "yes";

    /// <summary>The device to run on; null: the emulator.</summary>
    public static int? Ordinal { get; } = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;

    /// <summary>A size for a device, or the smaller one that the emulator can do: it is some thousand times slower than a processor.</summary>
    public static int Size(int onDevice, int emulated) => Ordinal == null || DriverTarget.Current.Processor != null ? emulated : onDevice;

    /// <summary>The device of this run of the tests.</summary>
    public static TestDevice Open(StubDriver stub) => Ordinal == null ? new EmulatedDevice(stub) : new DriverDevice(DriverTarget.Current);

    /// <summary>Runs a case: its buffers, but for the roles, are what kernels may touch.</summary>
    public void Run(AttentionCase c) => Run(c, c.Problem, c.Bias);

    /// <summary>Runs a call over the buffers of a case.</summary>
    public void Run(AttentionCase c, AttentionProblem problem, SocialBias bias) => Run(c, CallOf(problem, bias));

    /// <summary>Runs a call over the buffers of a case and others; results are in them afterwards.</summary>
    public abstract void Run(AttentionCase c, in CudaCall call, params (string Name, GuardedBuffer Buffer, bool IsResult)[] others);

    public abstract void Dispose();

    /// <summary>A problem and a bias as a call; lengths are on the device and on the host.</summary>
    public static CudaCall CallOf(AttentionProblem problem, SocialBias bias) => new()
    {
        Problem = problem,
        // Scores by speaker are for calls without values.
        Bias = problem.Value.IsEmpty ? bias : bias with { SpeakerScores = null, SpeakerCount = 0 },
        HostKeyLengths = problem.KeyLengths,
        HostQueryOffsets = problem.QueryOffsets,
    };

    /// <summary>The buffers that kernels may touch: roles are the host's.</summary>
    protected static IEnumerable<(string Name, GuardedBuffer Buffer, bool IsResult)> DeviceBuffers(AttentionCase c, (string Name, GuardedBuffer Buffer, bool IsResult)[] others) =>
        c.Buffers.Concat(others).Where(entry => entry.Buffer.Bytes > 0 && entry.Name is not ("modality" or "speakers" or "frames"));
}
