using AttentionKernels.Cli.Conformance;
using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Graph;
using Google.Protobuf;

namespace AttentionKernels.Tests.Cli.Conformance;

/// <summary>Tensors of test cases: both ways to write elements, and what is no tensor.</summary>
public sealed class TensorFileTests
{
    public static TheoryData<int, double[]> Numbers => new()
    {
        { (int)OnnxElementType.Float, [1.5, -2, 0, 3e38] },
        { (int)OnnxElementType.Double, [1.5, -2, 0, 1e300] },
        { (int)OnnxElementType.Float16, [1.5, -2, 0, 65504] },
        { (int)OnnxElementType.BFloat16, [1.5, -2, 0, 256] },
        { (int)OnnxElementType.Int8, [1, -128, 0, 127] },
        { (int)OnnxElementType.UInt8, [1, 255, 0, 7] },
        { (int)OnnxElementType.Int16, [1, -32768, 0, 32767] },
        { (int)OnnxElementType.UInt16, [1, 65535, 0, 9] },
        { (int)OnnxElementType.Int32, [1, int.MinValue, 0, int.MaxValue] },
        { (int)OnnxElementType.UInt32, [1, uint.MaxValue, 0, 9] },
        { (int)OnnxElementType.Int64, [1, -(1L << 53), 0, 1L << 53] },
        { (int)OnnxElementType.UInt64, [1, 1L << 53, 0, 9] },
        { (int)OnnxElementType.Bool, [1, 0, 0, 1] },
    };

    /// <summary>Elements in the list for their type are the same tensor as raw ones.</summary>
    [Theory]
    [MemberData(nameof(Numbers))]
    public void Lists_And_Raw_Bytes_Are_The_Same(int type, double[] values)
    {
        TensorProto listed = new() { DataType = type };
        listed.Dims.AddRange([2, 1, 2]);
        foreach (double value in values)
        {
            switch ((OnnxElementType)type)
            {
                case OnnxElementType.Float:
                    listed.FloatData.Add((float)value);
                    break;
                case OnnxElementType.Double:
                    listed.DoubleData.Add(value);
                    break;
                case OnnxElementType.Int64:
                    listed.Int64Data.Add((long)value);
                    break;
                case OnnxElementType.UInt32 or OnnxElementType.UInt64:
                    listed.Uint64Data.Add((ulong)value);
                    break;
                case OnnxElementType.Float16:
                    listed.Int32Data.Add(BitConverter.HalfToUInt16Bits((Half)value));
                    break;
                case OnnxElementType.BFloat16:
                    listed.Int32Data.Add(BitConverter.SingleToInt32Bits((float)value) >>> 16);
                    break;
                default:
                    listed.Int32Data.Add((int)value);
                    break;
            }
        }
        TensorData tensor = TensorFile.Decode(listed);
        Assert.Equal([2, 1, 2], tensor.Shape);
        Assert.Equal([.. values.Select(v => type == (int)OnnxElementType.Float ? (float)v : v)], Enumerable.Range(0, tensor.Count).Select(i => tensor[i]));
        TensorData raw = TensorFile.Decode(CaseFolder.Tensor("", (OnnxElementType)type, tensor.Bytes, [2, 1, 2]));
        Assert.Equal((tensor.Type, Convert.ToHexString(tensor.Bytes)), (raw.Type, Convert.ToHexString(raw.Bytes)));
    }

    [Fact]
    public void Contradictions_Are_Errors()
    {
        Refuse("it has no element type", new TensorProto());
        Refuse("its shape is [-1]", Tensor(OnnxElementType.Float, 4, -1));
        Refuse("do not fill shape [9223372036854775807,9223372036854775807]", Tensor(OnnxElementType.Float, 4, long.MaxValue, long.MaxValue));
        Refuse("do not fill shape [4294967296,4294967296,4294967296,4294967296]", Tensor(OnnxElementType.Double, 0, 1L << 32, 1L << 32, 1L << 32, 1L << 32));
        Refuse("it has 4 bytes", Tensor(OnnxElementType.Float, 4, 0));
        Refuse("it has 3 bytes", Tensor(OnnxElementType.Float, 3));
        Refuse("it has an element 2, which is no Bool", Listed(OnnxElementType.Bool, 2));
        Refuse("it has an element -1, which is no UInt8", Listed(OnnxElementType.UInt8, -1));
        Refuse("it has an element 65536, which is no Float16", Listed(OnnxElementType.Float16, 65536));
        Refuse("its elements are in another file", new TensorProto { DataType = 1, DataLocation = TensorProto.Types.Location.External });
        Assert.Equal(0, TensorFile.Decode(Tensor(OnnxElementType.Float, 0, 3, 0)).Count);
        Assert.Equal(1, TensorFile.Decode(Tensor(OnnxElementType.Float, 4)).Count);

        static TensorProto Tensor(OnnxElementType type, int bytes, params long[] shape) => CaseFolder.Tensor("", type, new byte[bytes], shape);

        static TensorProto Listed(OnnxElementType type, int element)
        {
            TensorProto tensor = new() { DataType = (int)type };
            tensor.Int32Data.Add(element);
            return tensor;
        }

        static void Refuse(string says, TensorProto tensor) => Assert.Contains(says, Assert.Throws<FormatException>(() => TensorFile.Decode(tensor)).Message, StringComparison.Ordinal);
    }

    /// <summary>3000 files with bytes changed, cut off or put in: each is a tensor whose bytes fill its shape, of a type the runner lacks, or an error that names the file.</summary>
    [Fact]
    public void Any_File_Is_A_Tensor_Or_An_Error_That_Names_It()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("input_0.pb");
        Random random = new(23);
        TensorProto good = CaseFolder.Tensor("x", OnnxElementType.Float, new byte[48], [3, 4]);
        TensorProto listed = new() { DataType = (int)OnnxElementType.Int64, Name = "y" };
        listed.Dims.Add(5);
        listed.Int64Data.AddRange([1, -1, long.MaxValue, long.MinValue, 0]);
        int read = 0, refused = 0;
        for (int n = 0; n < 3000; n++)
        {
            List<byte> bytes = [.. (n % 2 == 0 ? good : listed).ToByteArray()];
            for (int k = random.Next(1, 5); k > 0; k--)
            {
                int at = random.Next(bytes.Count);
                switch (random.Next(4))
                {
                    case 0:
                        bytes.RemoveRange(at, bytes.Count - at);
                        break;
                    case 1:
                        bytes.Insert(at, (byte)random.Next(256));
                        break;
                    default:
                        bytes[at] = (byte)random.Next(256);
                        break;
                }
                if (bytes.Count == 0)
                {
                    break;
                }
            }
            File.WriteAllBytes(path, [.. bytes]);
            try
            {
                TensorData tensor = TensorFile.Read(path);
                Assert.Equal(tensor.Shape.Aggregate(1L, (a, b) => a * b), tensor.Count);
                read++;
            }
            catch (SkippedCaseException)
            {
            }
            catch (RunException e)
            {
                Assert.Contains(path, e.Message, StringComparison.Ordinal);
                refused++;
            }
        }
        Assert.True(read > 300 && refused > 300, $"{read} were read and {refused} refused of 3000");
    }
}
