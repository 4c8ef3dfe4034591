using System.Runtime.InteropServices;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Keeps handles alive during a native call, whatever other threads dispose of.</summary>
internal readonly ref struct HandleUse
{
    private readonly ReadOnlySpan<SafeHandle> _handles;

    /// <exception cref="ObjectDisposedException">One is closed.</exception>
    public HandleUse(params ReadOnlySpan<SafeHandle> handles)
    {
        _handles = handles.ToArray();
        Pointers = new nint[handles.Length];
        int held = 0;
        try
        {
            for (; held < handles.Length; held++)
            {
                ArgumentNullException.ThrowIfNull(handles[held], nameof(handles));
                bool added = false;
                handles[held].DangerousAddRef(ref added);
                Pointers[held] = handles[held].DangerousGetHandle();
            }
        }
        catch
        {
            Release(held);
            throw;
        }
    }

    public nint[] Pointers { get; }

    /// <summary>The only handle's pointer.</summary>
    public nint Pointer => Pointers[0];

    public void Dispose() => Release(_handles.Length);

    private void Release(int count)
    {
        for (int i = 0; i < count; i++)
        {
            _handles[i].DangerousRelease();
        }
    }
}
