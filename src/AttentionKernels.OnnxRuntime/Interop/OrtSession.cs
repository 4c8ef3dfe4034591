using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>A loaded model. Run may be called by several threads at once; one that is running keeps a disposed session alive.</summary>
internal sealed unsafe class OrtSession : SafeHandle
{
    private readonly OrtApi _api;
    private readonly Dictionary<string, nint> _inputNames = [];
    private readonly Dictionary<string, nint> _outputNames = [];

    /// <summary>Loads a model held in memory; its bytes are not needed afterwards.</summary>
    /// <exception cref="OrtException">The model or a kernel of it was refused.</exception>
    public OrtSession(ReadOnlySpan<byte> model, OrtSessionOptions options)
        : this()
    {
        using HandleUse use = new(options);
        Session* session;
        fixed (byte* bytes = model)
        {
            _api.Check(_api.Table->CreateSessionFromArray(OrtEnvironment.Get().Handle, bytes, (nuint)model.Length, (SessionOptions*)use.Pointer, &session));
        }
        Adopt(session);
    }

    /// <summary>Loads a model file. External data is looked for beside it.</summary>
    /// <exception cref="OrtException">The file, the model or a kernel of it was refused.</exception>
    public OrtSession(string path, OrtSessionOptions options)
        : this()
    {
        using HandleUse use = new(options);
        using NativeText text = NativeText.Path(path);
        Session* session;
        _api.Check(_api.Table->CreateSession(OrtEnvironment.Get().Handle, text.Pointer, (SessionOptions*)use.Pointer, &session));
        Adopt(session);
    }

    private OrtSession()
        : base(0, ownsHandle: true)
    {
        _api = OrtEnvironment.Get().Api;
        Inputs = [];
        Outputs = [];
    }

    public override bool IsInvalid => handle == 0;

    public IReadOnlyList<OrtValueInfo> Inputs { get; private set; }

    public IReadOnlyList<OrtValueInfo> Outputs { get; private set; }

    /// <summary>Runs the model; ONNX Runtime allocates the outputs, which the caller disposes of.</summary>
    /// <param name="feeds">Inputs by name.</param>
    /// <param name="outputs">Names of the outputs to compute.</param>
    /// <returns>One tensor for each name of <paramref name="outputs"/>.</returns>
    /// <exception cref="ArgumentException">The model has no input or output of that name.</exception>
    /// <exception cref="OrtException">The run failed.</exception>
    public OrtTensor[] Run(IReadOnlyCollection<KeyValuePair<string, OrtTensor>> feeds, params IReadOnlyList<string> outputs) =>
        Run(feeds, outputs, CancellationToken.None);

    /// <summary>As <see cref="Run(IReadOnlyCollection{KeyValuePair{string, OrtTensor}}, IReadOnlyList{string})"/>, until it is cancelled: ONNX Runtime then stops after the node that it is running.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was cancelled.</exception>
    public OrtTensor[] Run(
        IReadOnlyCollection<KeyValuePair<string, OrtTensor>> feeds, IReadOnlyList<string> outputs, CancellationToken cancellation)
    {
        nint[] values = new nint[outputs.Count];
        nint[] names = [.. outputs.Select(name => Lookup(_outputNames, name, "output"))];
        OrtTensor[] tensors = new OrtTensor[outputs.Count];
        try
        {
            Run(feeds, names, values, cancellation);
            for (int i = 0; i < values.Length; i++)
            {
                nint value = values[i];
                values[i] = 0;
                tensors[i] = OrtTensor.TakeOver(_api, (Value*)value);
            }
            return tensors;
        }
        catch
        {
            foreach (nint value in values)
            {
                if (value != 0)
                {
                    _api.Table->ReleaseValue((Value*)value);
                }
            }
            foreach (OrtTensor? tensor in tensors)
            {
                tensor?.Dispose();
            }
            throw;
        }
    }

    /// <summary>Runs the model into ready outputs of the right type and shape.</summary>
    /// <param name="feeds">Inputs by name.</param>
    /// <param name="outputs">Outputs to compute, by name.</param>
    /// <exception cref="ArgumentException">The model has no input or output of that name.</exception>
    /// <exception cref="OrtException">The run failed.</exception>
    public void Run(IReadOnlyCollection<KeyValuePair<string, OrtTensor>> feeds, IReadOnlyCollection<KeyValuePair<string, OrtTensor>> outputs)
    {
        nint[] names = [.. outputs.Select(o => Lookup(_outputNames, o.Key, "output"))];
        using HandleUse use = new([.. outputs.Select(o => o.Value)]);
        Run(feeds, names, use.Pointers, CancellationToken.None);
    }

    protected override bool ReleaseHandle()
    {
        _api.Table->ReleaseSession((Session*)handle);
        foreach (nint name in _inputNames.Values.Concat(_outputNames.Values))
        {
            Marshal.FreeCoTaskMem(name);
        }
        return true;
    }

    private static nint Lookup(Dictionary<string, nint> names, string name, string kind) =>
        names.TryGetValue(name, out nint native)
            ? native
            : throw new ArgumentException($"the model has no {kind} '{name}'; it has {string.Join(", ", names.Keys)}");

    private void Run(IReadOnlyCollection<KeyValuePair<string, OrtTensor>> feeds, nint[] outputNames, nint[] outputs, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        using HandleUse self = new(this);
        nint[] inputNames = [.. feeds.Select(f => Lookup(_inputNames, f.Key, "input"))];
        using HandleUse inputs = new([.. feeds.Select(f => f.Value)]);
        using OrtRunOptions? options = cancellation.CanBeCanceled ? new OrtRunOptions(_api) : null;
        // Disposed before the options, and not while the callback runs.
        using CancellationTokenRegistration registration = cancellation.UnsafeRegister(static state => ((OrtRunOptions)state!).Terminate(), options);
        fixed (nint* inputName = inputNames, input = inputs.Pointers, outputName = outputNames, output = outputs)
        {
            try
            {
                _api.Check(_api.Table->Run(
                    (Session*)self.Pointer, options == null ? null : options.Pointer,
                    (byte**)inputName, (Value**)input, (nuint)inputNames.Length, (byte**)outputName, (nuint)outputNames.Length, (Value**)output));
            }
            catch (OrtException e) when (cancellation.IsCancellationRequested)
            {
                throw new OperationCanceledException("the run was cancelled", e, cancellation);
            }
        }
    }

    // Once the handle is set, the session is released even if the rest throws: the object exists and has a finalizer.
    private void Adopt(Session* session)
    {
        SetHandle((nint)session);
        Inputs = Describe(_inputNames, _api.Table->SessionGetInputCount, _api.Table->SessionGetInputName, _api.Table->SessionGetInputTypeInfo);
        Outputs = Describe(_outputNames, _api.Table->SessionGetOutputCount, _api.Table->SessionGetOutputName, _api.Table->SessionGetOutputTypeInfo);
    }

    private OrtValueInfo[] Describe(
        Dictionary<string, nint> names,
        delegate* unmanaged[Cdecl]<Session*, nuint*, Status*> getCount,
        delegate* unmanaged[Cdecl]<Session*, nuint, Allocator*, byte**, Status*> getName,
        delegate* unmanaged[Cdecl]<Session*, nuint, TypeInfo**, Status*> getType)
    {
        Session* session = (Session*)handle;
        nuint count;
        _api.Check(getCount(session, &count));
        OrtValueInfo[] infos = new OrtValueInfo[count];
        for (nuint i = 0; i < count; i++)
        {
            byte* text;
            _api.Check(getName(session, i, _api.DefaultAllocator, &text));
            string name;
            try
            {
                name = Marshal.PtrToStringUTF8((nint)text)!;
            }
            finally
            {
                _ = _api.Succeeds(_api.Table->AllocatorFree(_api.DefaultAllocator, text));
            }
            names.Add(name, 0);
            names[name] = Marshal.StringToCoTaskMemUTF8(name);

            TypeInfo* type;
            _api.Check(getType(session, i, &type));
            try
            {
                TensorInfo* tensor; // part of type
                _api.Check(_api.Table->CastTypeInfoToTensorInfo(type, &tensor));
                infos[i] = new OrtValueInfo(name, tensor == null ? null : OnnxTensorType.Read(_api, tensor));
            }
            finally
            {
                _api.Table->ReleaseTypeInfo(type);
            }
        }
        return infos;
    }
}
