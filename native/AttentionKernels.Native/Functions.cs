using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Steering;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.Native;

/// <summary>The functions of attention_kernels.h, which documents them, in the order of the table in entry.c.</summary>
internal static unsafe class Functions
{
    private static readonly HandleTable<NativeScope> Scopes = new();

    /// <summary>The only function that an image exports: what it can do, as a table that lives as long as the process.</summary>
    /// <param name="errorText">Gives the memory of the calling thread's error text.</param>
    /// <param name="bytes">Its size.</param>
    [UnmanagedCallersOnly(EntryPoint = "image", CallConvs = [typeof(CallConvCdecl)])]
    public static nint* Image(delegate* unmanaged[Cdecl]<byte*> errorText, nuint bytes)
    {
        LastError.Initialize(errorText, bytes);
        ReadOnlySpan<nint> functions =
        [
            (nint)(delegate* unmanaged[Cdecl]<SessionOptions*, OrtApiBase*, Status*>)&RegisterCustomOps,
            (nint)(delegate* unmanaged[Cdecl]<ulong*, NativeStatus>)&Create,
            (nint)(delegate* unmanaged[Cdecl]<ulong, NativeStatus>)&Destroy,
            (nint)(delegate* unmanaged[Cdecl]<ulong, NativeRoles*, NativeStatus>)&SetRoles,
            (nint)(delegate* unmanaged[Cdecl]<ulong, NativeRoles*, NativeStatus>)&SetQueryRoles,
            (nint)(delegate* unmanaged[Cdecl]<ulong, NativePolicy*, NativeStatus>)&SetPolicy,
            (nint)(delegate* unmanaged[Cdecl]<ulong, byte*, NativeStatus>)&SetLayers,
            (nint)(delegate* unmanaged[Cdecl]<ulong, ulong, NativeStatus>)&SetGate,
            (nint)(delegate* unmanaged[Cdecl]<ulong, NativeStatus>)&Begin,
            (nint)(delegate* unmanaged[Cdecl]<ulong, NativeStatus>)&End,
            (nint)(delegate* unmanaged[Cdecl]<ulong, nuint*, NativeStatus>)&LayerCount,
            (nint)(delegate* unmanaged[Cdecl]<ulong, nuint, NativeLayer*, NativeStatus>)&Layer,
            (nint)(delegate* unmanaged[Cdecl]<ulong, nuint, float*, nuint, NativeStatus>)&ReadScores,
            (nint)(delegate* unmanaged[Cdecl]<ulong, nuint, float*, nuint, NativeStatus>)&ReadAlignment,
        ];
        nint* table = (nint*)NativeMemory.Alloc((nuint)functions.Length, (nuint)sizeof(nint));
        functions.CopyTo(new Span<nint>(table, functions.Length));
        return table;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static Status* RegisterCustomOps(SessionOptions* options, OrtApiBase* apiBase) => Registration.Run(options, apiBase);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus Create(ulong* scope) => NativeCall.Run(() =>
    {
        NativeCall.CheckPointer(scope, "scope");
        *scope = Scopes.Add(new NativeScope());
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus Destroy(ulong scope) => NativeCall.Run(() =>
    {
        Scopes.Get(scope).Destroy();
        Scopes.Remove(scope);
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus SetRoles(ulong scope, NativeRoles* roles) => NativeCall.Run(() =>
    {
        NativeScope target = Scopes.Get(scope);
        NativeCall.CheckPointer(roles, "roles");
        target.SetRoles(roles->Read());
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus SetQueryRoles(ulong scope, NativeRoles* roles) => NativeCall.Run(() =>
        Scopes.Get(scope).SetQueryRoles(roles == null ? null : roles->Read()));

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus SetPolicy(ulong scope, NativePolicy* policy) => NativeCall.Run(() =>
    {
        NativeScope target = Scopes.Get(scope);
        NativeCall.CheckPointer(policy, "policy");
        NativePolicy given = *policy;
        target.SetSettings(settings => given.ApplyTo(settings));
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus SetLayers(ulong scope, byte* layers) => NativeCall.Run(() =>
    {
        NativeScope target = Scopes.Get(scope);
        NativeCall.CheckPointer(layers, "layers");
        target.SetLayers(Marshal.PtrToStringUTF8((nint)layers)!);
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus SetGate(ulong scope, ulong measured) => NativeCall.Run(() =>
    {
        NativeScope target = Scopes.Get(scope);
        IReadOnlyList<SteeredLayerScores>? gate = measured == 0 ? null : Scopes.Get(measured).Read();
        target.SetSettings(settings =>
        {
            SteeringScopeSettings changed = settings with { Gate = gate };
            changed.Check();
            return changed;
        });
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus Begin(ulong scope) => NativeCall.Run(() => Scopes.Get(scope).Begin());

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus End(ulong scope) => NativeCall.Run(() => Scopes.Get(scope).End());

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus LayerCount(ulong scope, nuint* count) => NativeCall.Run(() =>
    {
        NativeScope source = Scopes.Get(scope);
        NativeCall.CheckPointer(count, "count");
        *count = (nuint)source.Read().Count;
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus Layer(ulong scope, nuint index, NativeLayer* layer) => NativeCall.Run(() =>
    {
        NativeScope source = Scopes.Get(scope);
        NativeCall.CheckPointer(layer, "layer");
        layer->Fill(At(source, index));
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus ReadScores(ulong scope, nuint index, float* scores, nuint count) => NativeCall.Run(() =>
        NativeCall.Copy(At(Scopes.Get(scope), index).HeadScores, scores, count, "scores"));

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static NativeStatus ReadAlignment(ulong scope, nuint index, float* alignment, nuint count) => NativeCall.Run(() =>
        NativeCall.Copy(At(Scopes.Get(scope), index).Alignment, alignment, count, "alignment"));

    private static SteeredLayerScores At(NativeScope scope, nuint index)
    {
        IReadOnlyList<SteeredLayerScores> layers = scope.Read();
        return index < (nuint)layers.Count
            ? layers[(int)index]
            : throw new ArgumentException($"index is {index}, expected less than {layers.Count}, the number of attention nodes that followed the scope");
    }
}
