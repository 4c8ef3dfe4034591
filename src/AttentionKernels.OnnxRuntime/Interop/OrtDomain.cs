using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>
/// A domain of custom ops in one ONNX Runtime. Sessions point to it and it points to its ops, so neither is ever released: make
/// one per process, and add it to any number of session options.
/// </summary>
internal sealed unsafe class OrtDomain
{
    private readonly OrtApi _api;
    private readonly Domain* _domain;

    public OrtDomain(OrtApi api, string name, params IEnumerable<CustomOp> ops)
    {
        _api = api;
        // ONNX Runtime copies the name.
        using NativeText text = NativeText.Utf8(name);
        Domain* domain;
        api.Check(api.Table->CreateCustomOpDomain(text.Pointer, &domain));
        try
        {
            foreach (CustomOp op in ops)
            {
                api.Check(api.Table->CustomOpDomainAdd(domain, CustomOpDescriptor.Create(api, op)));
            }
        }
        catch
        {
            api.Table->ReleaseCustomOpDomain(domain);
            throw;
        }
        _domain = domain;
    }

    /// <summary>Makes the ops known to the sessions that are made with these options from now on.</summary>
    /// <param name="options">Open session options of the same ONNX Runtime.</param>
    public void AddTo(SafeHandle options)
    {
        using HandleUse use = new(options);
        AddTo((SessionOptions*)use.Pointer);
    }

    public void AddTo(SessionOptions* options) => _api.Check(_api.Table->AddCustomOpDomain(options, _domain));
}
