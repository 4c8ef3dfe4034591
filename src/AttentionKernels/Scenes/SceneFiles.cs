namespace AttentionKernels.Scenes;

/// <summary>File access whose failures are <see cref="SceneException"/>s that name the file.</summary>
internal static class SceneFiles
{
    public static byte[] ReadAllBytes(string path, long limit)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            if (stream.Length > limit)
            {
                throw new SceneException($"{path}: {stream.Length} bytes, expected at most {limit}");
            }
            using MemoryStream bytes = new((int)stream.Length);
            stream.CopyTo(bytes);
            return bytes.ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new SceneException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    public static void WriteAllText(string path, string text)
    {
        try
        {
            File.WriteAllText(path, text);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new SceneException($"{path}: cannot be written: {e.Message}", e);
        }
    }

    public static ReadOnlySpan<byte> SkipByteOrderMark(ReadOnlySpan<byte> utf8)
    {
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        return utf8.StartsWith(mark) ? utf8[mark.Length..] : utf8;
    }
}
