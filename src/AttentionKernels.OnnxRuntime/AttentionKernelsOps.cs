using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Ops;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime;

/// <summary>
/// Makes the operators of domain <c>ai.attentionkernels</c> known to ONNX Runtime sessions, and puts this library in the place of ONNX Runtime's
/// own attention operators where that is wanted.
/// </summary>
/// <example>
/// With the package Microsoft.ML.OnnxRuntime, version 1.18 or later:
/// <code>
/// using SessionOptions options = new();
/// AttentionKernelsOps.Register(options);
/// </code>
/// Sessions made with <c>options</c> from then on run models that use the operators. To run an unchanged model with this library's attention:
/// <code>
/// AttentionKernelsOps.Register(options, AttentionOverrides.All);
/// </code>
/// </example>
public static unsafe class AttentionKernelsOps
{
    /// <summary>The operators' domain, version 1.</summary>
    public const string Domain = "ai.attentionkernels";

    // A mark in the options themselves: ONNX Runtime would notice a second registration only when it makes a session, in its own words.
    private const string RegisteredKey = "ai.attentionkernels.registered";

    private static readonly Lock Gate = new();

    // A domain belongs to the ONNX Runtime that made it, and a process may have loaded several (two Python packages, say).
    private static readonly Dictionary<OrtApi, OrtDomain> Domains = [];

    /// <summary>Every operator, one entry for each element type and execution provider.</summary>
    internal static IReadOnlyList<CustomOp> Ops { get; } =
    [
        .. from provider in (OnnxProvider[])[OnnxProvider.Cpu, OnnxProvider.Cuda]
           from type in (OnnxElementType[])[OnnxElementType.Float, OnnxElementType.Float16, OnnxElementType.BFloat16]
           from op in (CustomOp[])[new SteeredAttentionOp(type, provider), new CrossModalHeadScoresOp(type, provider)]
           select op,
    ];

    /// <summary>Registers the operators with session options that a .NET binding of ONNX Runtime wraps.</summary>
    /// <param name="sessionOptions">Open options, such as Microsoft.ML.OnnxRuntime's SessionOptions. Not used by another thread meanwhile.</param>
    /// <param name="overrides">
    /// Operators of ONNX Runtime to replace. A session can have one custom domain of a name: not together with another library that brings operators
    /// in <c>com.microsoft</c> or the empty domain.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="sessionOptions"/> is null.</exception>
    /// <exception cref="ArgumentException"><paramref name="sessionOptions"/> is closed or invalid.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="overrides"/> has a flag that is none of the named ones.</exception>
    /// <exception cref="InvalidOperationException">The operators are registered with these options already.</exception>
    /// <exception cref="OrtException">The process has no ONNX Runtime that can be used.</exception>
    public static void Register(SafeHandle sessionOptions, AttentionOverrides overrides = AttentionOverrides.None)
    {
        ArgumentNullException.ThrowIfNull(sessionOptions);
        if (sessionOptions.IsClosed || sessionOptions.IsInvalid)
        {
            throw new ArgumentException("the session options are closed or were never opened", nameof(sessionOptions));
        }
        using HandleUse use = new(sessionOptions);
        Register(use.Pointer, overrides);
    }

    /// <summary>Registers the operators with native session options.</summary>
    /// <param name="sessionOptions">An <c>OrtSessionOptions*</c> of the ONNX Runtime that this process has loaded; it must be valid during the call.</param>
    /// <param name="overrides">Operators of ONNX Runtime to replace, as above.</param>
    /// <exception cref="ArgumentException"><paramref name="sessionOptions"/> is zero.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="overrides"/> has a flag that is none of the named ones.</exception>
    /// <exception cref="InvalidOperationException">The operators are registered with these options already.</exception>
    /// <exception cref="OrtException">The process has no ONNX Runtime that can be used.</exception>
    public static void Register(IntPtr sessionOptions, AttentionOverrides overrides = AttentionOverrides.None)
    {
        if (sessionOptions == 0)
        {
            throw new ArgumentException("the session options are a null pointer", nameof(sessionOptions));
        }
        if ((overrides & ~AttentionOverrides.All) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(overrides), overrides, $"expected flags of {AttentionOverrides.All}");
        }
        Register(OrtApi.Default, (SessionOptions*)sessionOptions, overrides);
    }

    /// <summary>Registers the operators with session options of any ONNX Runtime of this process.</summary>
    /// <param name="api">The one that made the options.</param>
    /// <param name="options">Not null; valid during the call.</param>
    /// <param name="overrides">Operators to replace, named flags only.</param>
    /// <exception cref="InvalidOperationException">The operators are registered with these options already.</exception>
    /// <exception cref="OrtException">ONNX Runtime refuses.</exception>
    internal static void Register(OrtApi api, SessionOptions* options, AttentionOverrides overrides)
    {
        using NativeText key = NativeText.Utf8(RegisteredKey);
        int registered;
        api.Check(api.Table->HasSessionConfigEntry(options, key.Pointer, &registered));
        if (registered != 0)
        {
            throw new InvalidOperationException("AttentionKernels is registered with these session options already: register once.");
        }
        GetDomain(api).AddTo(options);
        foreach (OrtDomain domain in OverrideDomains.For(api, overrides))
        {
            domain.AddTo(options);
        }
        using NativeText value = NativeText.Utf8("1");
        api.Check(api.Table->AddSessionConfigEntry(options, key.Pointer, value.Pointer));
    }

    private static OrtDomain GetDomain(OrtApi api)
    {
        lock (Gate)
        {
            if (!Domains.TryGetValue(api, out OrtDomain? domain))
            {
                domain = new OrtDomain(api, Domain, Ops);
                Domains.Add(api, domain);
            }
            return domain;
        }
    }
}
