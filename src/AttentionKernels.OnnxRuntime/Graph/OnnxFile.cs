using Google.Protobuf;

namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>ONNX models as bytes and files: what can go wrong here becomes an <see cref="OnnxModelException"/> that names the model.</summary>
internal static class OnnxFile
{
    /// <summary>Reads a model.</summary>
    /// <param name="bytes">The content of a .onnx file.</param>
    /// <param name="name">What messages call the model: a path, or a phrase.</param>
    /// <exception cref="OnnxModelException">The bytes are not an ONNX model.</exception>
    public static ModelProto Parse(ReadOnlySpan<byte> bytes, string name)
    {
        ModelProto model;
        try
        {
            model = ModelProto.Parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new OnnxModelException($"{name} is not a readable ONNX model ({bytes.Length} bytes): {e.Message}", e);
        }

        // Protobuf accepts almost any short byte string as a message of unknown fields, an empty one included.
        if (model.Graph is null)
        {
            throw new OnnxModelException($"{name} is not an ONNX model: its {bytes.Length} bytes hold no graph.");
        }
        return model;
    }

    /// <summary>Reads the model at <paramref name="path"/>.</summary>
    /// <exception cref="OnnxModelException">There is no such file, it cannot be read, or it is not an ONNX model.</exception>
    public static ModelProto Load(string path)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OnnxModelException($"Cannot read the model '{path}': {e.Message}", e);
        }
        return Parse(bytes, $"'{path}'");
    }

    /// <summary>Writes a model, whole or not at all: a reader never sees a half-written file under <paramref name="path"/>.</summary>
    /// <exception cref="OnnxModelException">The file cannot be written.</exception>
    public static void Save(byte[] model, string path)
    {
        string partial = path + ".partial";
        try
        {
            File.WriteAllBytes(partial, model);
            File.Move(partial, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (File.Exists(partial))
            {
                File.Delete(partial);
            }
            throw new OnnxModelException($"Cannot write the model '{path}': {e.Message}", e);
        }
    }
}
