using System.Text;

namespace AttentionKernels.Native;

/// <summary>The error text of the calling thread. Its memory is native and thread-local (entry.c), so that it needs no owner here.</summary>
internal static unsafe class LastError
{
    private static delegate* unmanaged[Cdecl]<byte*> _text;
    private static int _bytes;

    /// <summary>Says where the texts are.</summary>
    /// <param name="text">Gives the calling thread's memory.</param>
    /// <param name="bytes">Its size, the final zero included.</param>
    public static void Initialize(delegate* unmanaged[Cdecl]<byte*> text, nuint bytes)
    {
        _text = text;
        _bytes = checked((int)bytes);
    }

    /// <summary>Keeps an exception's text. Never throws: it runs where exceptions end.</summary>
    /// <returns>The status that stands for it.</returns>
    public static NativeStatus Set(Exception e)
    {
        Span<byte> text = new(_text(), _bytes);
        try
        {
            NativeStatus status = e switch
            {
                NativeException own => own.Status,
                ArgumentException or FormatException or OverflowException => NativeStatus.InvalidArgument,
                InvalidOperationException => NativeStatus.WrongState,
                _ => NativeStatus.Failed,
            };
            // Messages of the runtime's own exceptions say little without their type.
            Copy(status == NativeStatus.Failed ? $"{e.GetType().Name}: {e.Message}" : e.Message, text);
            return status;
        }
        catch
        {
            text[0] = 0;
            return NativeStatus.Failed;
        }
    }

    /// <summary>Writes as many whole characters as fit, and a zero.</summary>
    public static void Copy(string source, Span<byte> target)
    {
        Encoding.UTF8.GetEncoder().Convert(source, target[..^1], flush: true, out _, out int written, out _);
        target[written] = 0;
    }
}
