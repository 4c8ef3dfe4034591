using System.Runtime.InteropServices;
using System.Text;
using AttentionKernels.Cuda;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Native statuses to exceptions, and exceptions to native statuses.</summary>
internal static unsafe class OrtStatus
{
    /// <summary>Releases a failed status and returns it as an exception. The status is not null.</summary>
    public static OrtException ToException(OrtApiTable* table, Status* status)
    {
        try
        {
            string text = Marshal.PtrToStringUTF8((nint)table->GetErrorMessage(status)) ?? "ONNX Runtime gave no message";
            return new OrtException(table->GetErrorCode(status), text);
        }
        finally
        {
            table->ReleaseStatus(status);
        }
    }

    /// <summary>A status to return to ONNX Runtime, which then owns it. Never throws: it runs in the catch block of a callback.</summary>
    /// <param name="table">The API, of any version.</param>
    /// <param name="e">The error.</param>
    /// <param name="where">What failed, put before the message; empty: nothing.</param>
    public static Status* FromException(OrtApiTable* table, Exception e, string where = "")
    {
        OrtErrorCode code = e switch
        {
            OrtException own => own.Code,
            ArgumentException => OrtErrorCode.InvalidArgument,
            CudaException => OrtErrorCode.ExecutionProviderFail,
            NotSupportedException or NotImplementedException => OrtErrorCode.NotImplemented,
            _ => OrtErrorCode.Fail,
        };
        try
        {
            // Messages of the runtime's own exceptions say little without their type ("Index was outside the bounds ...").
            string kind = e is OrtException or ArgumentException or CudaException ? "" : e.GetType().Name + ": ";
            string text = (where.Length == 0 ? "" : where + ": ") + kind + e.Message;
            byte[] utf8 = new byte[Encoding.UTF8.GetMaxByteCount(text.Length) + 1];
            Encoding.UTF8.GetBytes(text, utf8);
            fixed (byte* pointer = utf8)
            {
                return table->CreateStatus(code, pointer);
            }
        }
        catch
        {
            // Out of memory, or an exception whose Message throws.
            fixed (byte* pointer = "an error whose message could not be formatted\0"u8)
            {
                return table->CreateStatus(code, pointer);
            }
        }
    }
}
