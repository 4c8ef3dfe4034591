using System.Text;
using System.Text.Json.Nodes;
using AttentionKernels.Cuda;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The launcher against the list of compiled kernels.</summary>
public sealed class KernelBindingTests
{
    [Fact]
    public void The_Manifest_In_The_Assembly_Fits_The_Launcher_And_Its_Files_Are_There()
    {
        KernelManifest manifest = KernelManifest.Embedded;
        Assert.NotEmpty(manifest.Entries);
        foreach (KernelEntry kernel in manifest.Entries)
        {
            byte[] text = KernelResources.ReadPtx(kernel.File);
            Assert.Equal(0, text[^1]);
            Assert.Contains($".entry {kernel.Name}(", Encoding.UTF8.GetString(text), StringComparison.Ordinal);
            Assert.Same(kernel, manifest.Find(kernel.Kernel, kernel.Type, kernel.HeadSize, kernel.Variant));
        }
    }

    [Fact]
    public void A_Missing_Parameter_Is_Named() =>
        Refused(
            kernel => kernel["parameters"]!.AsArray().RemoveAt(0), "kernel DecodeCombine_f16 has no parameter 'partialStats', which this launcher gives it");

    [Fact]
    public void An_Added_Parameter_Is_Named()
    {
        Refused(
            kernel => kernel["parameters"]!.AsArray().Add(new JsonObject { ["name"] = "speed", ["type"] = "int", ["offset"] = 0, ["size"] = 4 }),
            "kernel DecodeCombine_f16 has parameter 'speed', which this launcher does not give it");
        // Known, but not to this kernel.
        Refused(
            kernel => kernel["parameters"]!.AsArray().Add(new JsonObject { ["name"] = "lambda", ["type"] = "float", ["offset"] = 0, ["size"] = 4 }),
            "kernel DecodeCombine_f16 has parameter 'lambda', which this launcher does not give it");
    }

    [Fact]
    public void A_Parameter_Of_Another_Type_Is_Named() =>
        Refused(
            kernel => kernel["parameters"]![0]!["type"] = "float", "kernel DecodeCombine_f16 has parameter 'partialStats' of type float and 8 bytes, expected long and 8");

    [Fact]
    public void A_Parameter_That_Comes_Twice_Is_Named() =>
        Refused(
            kernel => kernel["parameters"]!.AsArray().Add(kernel["parameters"]![0]!.DeepClone()), "kernel DecodeCombine_f16 has parameter 'partialStats' twice");

    [Fact]
    public void A_Kernel_That_The_Launcher_Does_Not_Know_Is_Named() => Refused(kernel => kernel["kernel"] = "Magic", "manifest.json has kernel 'Magic', which this launcher does not know");

    [Fact]
    public void A_File_That_Is_No_Manifest_Is_Refused()
    {
        Assert.StartsWith("manifest.json is not a manifest: ", Assert.Throws<InvalidDataException>(() => KernelManifest.Parse("[]"u8.ToArray())).Message, StringComparison.Ordinal);
        Assert.StartsWith("manifest.json is not a manifest: ", Assert.Throws<InvalidDataException>(() => KernelManifest.Parse("{}"u8.ToArray())).Message, StringComparison.Ordinal);
    }

    private static void Refused(Action<JsonObject> change, string message)
    {
        JsonNode manifest = JsonNode.Parse(KernelResources.Read("manifest.json"))!;
        change(manifest["kernels"]!.AsArray().First(kernel => (string)kernel!["name"]! == "DecodeCombine_f16")!.AsObject());
        Assert.Equal(message, Assert.Throws<InvalidDataException>(() => KernelManifest.Parse(Encoding.UTF8.GetBytes(manifest.ToJsonString()))).Message);
    }
}
