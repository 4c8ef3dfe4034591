using System.Runtime.InteropServices;

namespace AttentionKernels.Tests.Native;

/// <summary>Scopes of the native library in this process, as another host has them. Every error is an exception with the library's text.</summary>
internal sealed unsafe class NativeApi(string library)
{
    private readonly nint _library = NativeLibrary.Load(library);

    public ulong Create()
    {
        ulong scope;
        Check(((delegate* unmanaged[Cdecl]<ulong*, int>)Function("create"))(&scope));
        return scope;
    }

    public void Call(string name, ulong scope) => Check(((delegate* unmanaged[Cdecl]<ulong, int>)Function(name))(scope));

    public void SetGate(ulong scope, ulong measured) => Check(((delegate* unmanaged[Cdecl]<ulong, ulong, int>)Function("set_gate"))(scope, measured));

    public void SetRoles(ulong scope, byte[] modality, long[] speakers, int[] frames)
    {
        fixed (byte* m = modality)
        fixed (long* s = speakers)
        fixed (int* f = frames)
        {
            Roles roles = new() { Size = (nuint)sizeof(Roles), Batch = 1, Length = modality.Length, Modality = m, Speakers = s, Frames = f };
            Check(((delegate* unmanaged[Cdecl]<ulong, Roles*, int>)Function("set_roles"))(scope, &roles));
        }
    }

    public void SetPolicy(ulong scope, bool social, float alpha, float lambda, bool growing)
    {
        Policy policy = new() { Size = (nuint)sizeof(Policy), Kind = social ? 1 : 0, Alpha = alpha, Lambda = lambda, Growing = growing ? 1 : 0 };
        Check(((delegate* unmanaged[Cdecl]<ulong, Policy*, int>)Function("set_policy"))(scope, &policy));
    }

    public void SetLayers(ulong scope, string layers)
    {
        nint text = Marshal.StringToCoTaskMemUTF8(layers);
        Check(((delegate* unmanaged[Cdecl]<ulong, nint, int>)Function("set_layers"))(scope, text));
        Marshal.FreeCoTaskMem(text);
    }

    /// <summary>What each node found.</summary>
    public IReadOnlyList<(int Layer, string Node, int Calls, float[] Scores, float[] Alignment)> Read(ulong scope)
    {
        nuint count;
        Check(((delegate* unmanaged[Cdecl]<ulong, nuint*, int>)Function("layer_count"))(scope, &count));
        List<(int, string, int, float[], float[])> found = [];
        for (nuint i = 0; i < count; i++)
        {
            Layer layer = new() { Size = (nuint)sizeof(Layer) };
            Check(((delegate* unmanaged[Cdecl]<ulong, nuint, Layer*, int>)Function("layer"))(scope, i, &layer));
            int heads = layer.Batch * layer.Heads;
            found.Add((layer.Number, Marshal.PtrToStringUTF8((nint)layer.Node)!, layer.Calls, Floats(scope, i, "read_scores", heads), Floats(scope, i, "read_alignment", heads * 4)));
        }
        return found;
    }

    private float[] Floats(ulong scope, nuint index, string name, int count)
    {
        float[] values = new float[count];
        fixed (float* pointer = values)
        {
            Check(((delegate* unmanaged[Cdecl]<ulong, nuint, float*, nuint, int>)Function(name))(scope, index, pointer, (nuint)count));
        }
        return values;
    }

    private nint Function(string name) => NativeLibrary.GetExport(_library, "attention_kernels_scope_" + name);

    private void Check(int status)
    {
        if (status != 0)
        {
            nint text = ((delegate* unmanaged[Cdecl]<nint>)NativeLibrary.GetExport(_library, "attention_kernels_last_error"))();
            throw new InvalidOperationException($"status {status}: {Marshal.PtrToStringUTF8(text)}");
        }
    }

    private struct Roles
    {
        public nuint Size;
        public int Batch;
        public int Length;
        public byte* Modality;
        public long* Speakers;
        public int* Frames;
    }

    private struct Policy
    {
        public nuint Size;
        public int Kind;
        public float Alpha;
        public float Lambda;
        public int ClampNegative;
        public int Growing;
    }

    private struct Layer
    {
        public nuint Size;
        public int Number;
        public int Batch;
        public int Heads;
        public int Calls;
        public fixed byte Node[256];
    }
}
