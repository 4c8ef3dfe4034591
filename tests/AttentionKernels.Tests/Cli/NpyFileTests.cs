using System.Runtime.InteropServices;
using System.Text;
using AttentionKernels.Cli.Run;

namespace AttentionKernels.Tests.Cli;

public sealed class NpyFileTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void What_Was_Written_Is_Read(byte version)
    {
        File.WriteAllBytes(_path, Npy([1, -2, float.MaxValue, 0, 0.5f, 3], "(3, 2)", version: version));
        (float[] values, long[] shape) = NpyFile.ReadFloats(_path);
        Assert.Equal([1, -2, float.MaxValue, 0, 0.5f, 3], values);
        Assert.Equal([3L, 2L], shape);
    }

    [Fact]
    public void One_Dimension_And_None_Are_Shapes()
    {
        File.WriteAllBytes(_path, Npy([1, 2], "(2,)"));
        Assert.Equal([2L], NpyFile.ReadFloats(_path).Shape);
        File.WriteAllBytes(_path, Npy([7], "()"));
        Assert.Equal([7f], NpyFile.ReadFloats(_path).Values);
    }

    [Theory]
    [InlineData("(3,)", "needs 12 bytes, but the file has 8")]
    [InlineData("(1,)", "needs 4 bytes, but the file has 8")]
    [InlineData("(9223372036854775807, 9223372036854775807, 9223372036854775807)", "but the file has 8")]
    [InlineData("(-2,)", "'-2'")]
    [InlineData("(99999999999999999999,)", "'99999999999999999999'")]
    public void A_Shape_That_Is_Not_The_Files_Is_Refused(string shape, string expected) => Refuses(Npy([1, 2], shape), expected);

    [Fact]
    public void Other_Types_And_Orders_Are_Refused()
    {
        Refuses(Npy([1, 2], "(1,)", type: "<f8"), "'<f8'");
        Refuses(Npy([1, 2], "(2,)", type: ">f4"), "'>f4'");
        Refuses(Npy([1, 2], "(2, 1)", order: "True"), "fortran_order True");
    }

    [Fact]
    public void Damage_Is_Refused()
    {
        byte[] good = Npy([1, 2], "(2,)");
        for (int length = 0; length < good.Length; length++)
        {
            Refuses(good[..length], _path);
        }
        Refuses([.. good, 0], "but the file has 9");
        Refuses([0x50, .. good[1..]], "not a .npy file");
        Refuses([.. good[..6], 9, .. good[7..]], "version 9.0");
        Assert.Contains("cannot be read", Assert.Throws<RunException>(() => NpyFile.ReadFloats(Path.Combine(_path, "absent"))).Message, StringComparison.Ordinal);
    }

    /// <summary>A file as NumPy writes it.</summary>
    internal static byte[] Npy(float[] values, string shape, string type = "<f4", string order = "False", byte version = 1)
    {
        byte[] header = Encoding.ASCII.GetBytes($"{{'descr': '{type}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        byte[] length = version == 1 ? BitConverter.GetBytes((ushort)header.Length) : BitConverter.GetBytes(header.Length);
        return [0x93, .. "NUMPY"u8, version, 0, .. length, .. header, .. MemoryMarshal.AsBytes(values.AsSpan())];
    }

    private void Refuses(byte[] file, string expected)
    {
        File.WriteAllBytes(_path, file);
        Assert.Contains(expected, Assert.Throws<RunException>(() => NpyFile.ReadFloats(_path)).Message, StringComparison.Ordinal);
    }
}
