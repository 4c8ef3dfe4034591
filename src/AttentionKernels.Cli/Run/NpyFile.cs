using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace AttentionKernels.Cli.Run;

/// <summary>Reads NumPy's .npy files of float32 in row order.</summary>
internal static partial class NpyFile
{
    // The header is a line of Python; a real one has about a hundred bytes.
    private const int MaxHeaderBytes = 1 << 16;

    /// <summary>Reads a file.</summary>
    /// <returns>The numbers in row order, and the shape.</returns>
    /// <exception cref="RunException">The file cannot be read, is not such a file, or its length is not that of its shape.</exception>
    public static (float[] Values, long[] Shape) ReadFloats(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            return Read(stream);
        }
        catch (EndOfStreamException e)
        {
            throw new RunException($"{path}: the file ends too early to be a .npy file.", e);
        }
        catch (InvalidDataException e)
        {
            throw new RunException($"{path}: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new RunException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    private static (float[] Values, long[] Shape) Read(FileStream stream)
    {
        // Magic, major and minor version, header length: 2 bytes in version 1, 4 bytes later.
        Span<byte> start = stackalloc byte[8];
        stream.ReadExactly(start);
        if (start[0] != 0x93 || !start[1..6].SequenceEqual("NUMPY"u8))
        {
            throw new InvalidDataException("not a .npy file: it does not start with NumPy's mark.");
        }
        Span<byte> lengthBytes = stackalloc byte[start[6] == 1 ? 2 : 4];
        stream.ReadExactly(lengthBytes);
        uint headerLength = lengthBytes.Length == 2 ? BinaryPrimitives.ReadUInt16LittleEndian(lengthBytes) : BinaryPrimitives.ReadUInt32LittleEndian(lengthBytes);
        if (start[6] is 0 or > 3 || headerLength > MaxHeaderBytes)
        {
            throw new InvalidDataException($"version {start[6]}.{start[7]} with a header of {headerLength} bytes, expected version 1, 2 or 3 and at most {MaxHeaderBytes} bytes.");
        }
        byte[] headerBytes = new byte[headerLength];
        stream.ReadExactly(headerBytes);
        long[] shape = ParseHeader(Encoding.UTF8.GetString(headerBytes));

        // Compared with what is there before anything of that size is allocated.
        UInt128 bytes = shape.Aggregate((UInt128)sizeof(float), (product, dim) => product > long.MaxValue ? product : product * (ulong)dim);
        long rest = stream.Length - stream.Position;
        if (bytes != (ulong)rest || rest / sizeof(float) > Array.MaxLength)
        {
            throw new InvalidDataException($"shape ({string.Join(", ", shape)}) needs {bytes} bytes, but the file has {rest} after its header.");
        }
        float[] values = new float[rest / sizeof(float)];
        stream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return (values, shape);
    }

    private static long[] ParseHeader(string header)
    {
        Match type = TypeEntry().Match(header);
        Match order = OrderEntry().Match(header);
        Match shape = ShapeEntry().Match(header);
        if (!type.Success || !order.Success || !shape.Success)
        {
            throw new InvalidDataException("the header lacks descr, fortran_order or shape.");
        }
        if (type.Groups[1].Value != "<f4" || order.Groups[1].Value != "False")
        {
            throw new InvalidDataException($"elements are '{type.Groups[1].Value}' with fortran_order {order.Groups[1].Value}, expected '<f4' (float32) in row order: save array.astype('float32', order='C').");
        }
        return [.. shape.Groups[1].Value
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(dim => long.TryParse(dim, NumberStyles.None, CultureInfo.InvariantCulture, out long value)
                ? value
                : throw new InvalidDataException($"the header's shape has '{dim}', expected a number."))];
    }

    [GeneratedRegex(@"'descr':\s*'([^']*)'")]
    private static partial Regex TypeEntry();

    [GeneratedRegex(@"'fortran_order':\s*(True|False)")]
    private static partial Regex OrderEntry();

    [GeneratedRegex(@"'shape':\s*\(([^)]*)\)")]
    private static partial Regex ShapeEntry();
}
