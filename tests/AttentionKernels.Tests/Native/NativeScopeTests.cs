using System.Globalization;

namespace AttentionKernels.Tests.Native;

/// <summary>The C interface, used by programs in C.</summary>
[Collection(NativeCollection.Name)]
public sealed class NativeScopeTests(NativeBuild build)
{
    // A session that stays is 200 kB and more, roles that stay are 260 kB, so that a leak of either is 160 MB in the 800 cycles that are counted; ONNX Runtime alone grew
    // by 2 MB in them, the whole by 2 to 4.
    private const int MayGrow = 16 * 1024; // kB

    [Fact]
    public void Misuse_Of_Every_Function_Is_An_Error_And_Not_The_End() => ChildProcess.RunBare(build.Linked("misuse"), []).Succeeded();

    [Fact]
    public void Eight_Threads_Steer_One_Session_Each_Its_Own_Way() =>
        ChildProcess.RunBare(build.Linked("threads"), [NativeBuild.OnnxRuntime, build.Library, build.TwoLayers]).Succeeded();

    [Fact]
    public void A_Thousand_Loads_And_Unloads_Leave_Its_State() => ChildProcess.RunBare(build.Unlinked("reload"), [build.Library]).Succeeded();

    [Fact]
    public void A_Thousand_Sessions_Leave_Memory_As_It_Is()
    {
        string output = ChildProcess.RunBare(build.Unlinked("cycles"), [NativeBuild.OnnxRuntime, build.Library, build.OneLayer]).Succeeded().Output;
        int[] kilobytes = [.. output.Trim().Split(' ').Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
        Assert.True(kilobytes[1] - kilobytes[0] < MayGrow, $"{kilobytes[0]} kB after 200 cycles, {kilobytes[1]} kB after 1000, expected at most {MayGrow} kB more");
    }
}
