namespace AttentionKernels.Native;

/// <summary>What the functions of the C interface have in common: no exception leaves them, and what they are given is checked.</summary>
internal static unsafe class NativeCall
{
    /// <summary>Runs a function's body.</summary>
    /// <returns>Its status; the text of an error is the thread's last.</returns>
    public static NativeStatus Run(Action body)
    {
        try
        {
            body();
            return NativeStatus.Ok;
        }
        catch (Exception e)
        {
            return LastError.Set(e);
        }
    }

    /// <summary>Throws for a null pointer.</summary>
    public static void CheckPointer(void* pointer, string name)
    {
        if (pointer == null)
        {
            throw new ArgumentException($"{name} is null");
        }
    }

    /// <summary>Throws for a struct of another layout.</summary>
    public static void CheckSize(nuint given, int expected, string name)
    {
        if (given != (nuint)expected)
        {
            throw new ArgumentException($"struct_size of {name} is {given}, expected {expected}: set it to sizeof, and use the library's own header");
        }
    }

    /// <summary>Copies floats to a caller's array.</summary>
    /// <exception cref="ArgumentException">The array is null or of another size.</exception>
    public static void Copy(IReadOnlyList<float> source, float* target, nuint count, string name)
    {
        CheckPointer(target, name);
        if (count != (nuint)source.Count)
        {
            throw new ArgumentException($"count is {count}, expected {source.Count} floats in {name}");
        }
        for (int i = 0; i < source.Count; i++)
        {
            target[i] = source[i];
        }
    }
}
