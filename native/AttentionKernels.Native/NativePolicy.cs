using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Steering;

namespace AttentionKernels.Native;

/// <summary>attention_kernels_policy of the C interface.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativePolicy
{
    public nuint StructSize;
    public int Kind;
    public float Alpha;
    public float Lambda;
    public int ClampNegative;
    public int Growing;

    /// <summary>The settings with this policy; layers and gate stay.</summary>
    /// <exception cref="ArgumentException">A value is not possible.</exception>
    public readonly SteeringScopeSettings ApplyTo(SteeringScopeSettings settings)
    {
        NativeCall.CheckSize(StructSize, sizeof(NativePolicy), "attention_kernels_policy");
        SteeringScopeSettings changed = settings with
        {
            Policy = Kind switch
            {
                0 => "none",
                1 => "social",
                _ => throw new ArgumentException($"kind is {Kind}, expected ATTENTION_KERNELS_MEASURE (0) or ATTENTION_KERNELS_SOCIAL (1)"),
            },
            Alpha = Alpha,
            Lambda = Lambda,
            ClampNegative = ClampNegative != 0,
            Growing = Growing != 0,
        };
        changed.Check();
        return changed;
    }
}
