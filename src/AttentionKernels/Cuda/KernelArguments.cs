using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace AttentionKernels.Cuda;

/// <summary>Values of parameters by name, each in eight bytes of its own, from which a launch takes those that its kernel has. Lives on the stack.</summary>
internal unsafe struct KernelArguments
{
    private Slots _slots;
    private UInt128 _given;

    /// <summary>Sets an address or a stride.</summary>
    public void Set(KernelParameter parameter, long value) => Set(parameter, value, KernelParameterType.Int64);

    /// <summary>Sets an address.</summary>
    public void Set(KernelParameter parameter, void* address) => Set(parameter, (long)address, KernelParameterType.Int64);

    /// <summary>Sets a count or a switch.</summary>
    public void Set(KernelParameter parameter, int value) => Set(parameter, value, KernelParameterType.Int32);

    /// <summary>Sets a number.</summary>
    public void Set(KernelParameter parameter, float value) => Set(parameter, BitConverter.SingleToUInt32Bits(value), KernelParameterType.Float32);

    /// <summary>Writes the address of the value of each parameter of a kernel. They hold as long as this struct stays where it is.</summary>
    /// <param name="arguments">The values.</param>
    /// <param name="kernel">Kernel.</param>
    /// <param name="addresses">[parameters] receives them.</param>
    /// <exception cref="InvalidOperationException">A value was not set: a fault of this library.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Address(ref KernelArguments arguments, KernelEntry kernel, void** addresses)
    {
        if ((kernel.ParameterSet & ~arguments._given) != 0)
        {
            throw new InvalidOperationException($"{kernel} has parameters that were not given: {arguments.Missing(kernel)}");
        }
        long* slots = (long*)Unsafe.AsPointer(ref arguments._slots);
        for (int i = 0; i < kernel.Parameters.Length; i++)
        {
            addresses[i] = slots + (int)kernel.Parameters[i];
        }
    }

    private void Set(KernelParameter parameter, long bits, KernelParameterType type)
    {
        Debug.Assert(KernelParameters.TypeOf(parameter) == type);
        _slots[(int)parameter] = bits;
        _given |= UInt128.One << (int)parameter;
    }

    private readonly string Missing(KernelEntry kernel)
    {
        UInt128 given = _given;
        return string.Join(", ", kernel.Parameters.Where(parameter => (given >> (int)parameter & 1) == 0));
    }

    [InlineArray(KernelParameters.Most)]
    private struct Slots
    {
        private long _first;
    }
}
