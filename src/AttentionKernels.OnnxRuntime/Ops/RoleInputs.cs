using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Three inputs that give tokens their roles: modality uint8, speakers int64, frames int32.</summary>
internal static unsafe class RoleInputs
{
    /// <summary>The schema of the three inputs, all optional, in the processor's memory on every provider: what they mean is worked out there.</summary>
    /// <param name="prefix">"token" or "query".</param>
    public static OpParameter[] Schema(string prefix) =>
    [
        new($"{prefix}_modality", OnnxElementType.UInt8, Optional: true, OnHost: true),
        new($"{prefix}_speakers", OnnxElementType.Int64, Optional: true, OnHost: true),
        new($"{prefix}_frames", OnnxElementType.Int32, Optional: true, OnHost: true),
    ];

    /// <summary>Reads and checks the inputs at <paramref name="index"/> and the two after it: [B, length], [B, length], [B, length, 2].</summary>
    /// <param name="context">Node.</param>
    /// <param name="index">Position of the modality input.</param>
    /// <param name="inputs">The operator's inputs, for names.</param>
    /// <param name="batch">B.</param>
    /// <param name="length">Tokens.</param>
    /// <param name="lengthName">What they are, for messages: "T = total_sequence_length" or "S".</param>
    /// <param name="speakers">Bits of a speaker mask that may be set.</param>
    /// <returns>Empty roles if the node gives none of the three.</returns>
    public static TokenRoles Read(in KernelContext context, int index, IReadOnlyList<OpParameter> inputs, int batch, int length, string lengthName, int speakers)
    {
        bool any = context.TryGetInput(index, out TensorArgument modality);
        bool hasSpeakers = context.TryGetInput(index + 1, out TensorArgument mask);
        bool hasFrames = context.TryGetInput(index + 2, out TensorArgument frames);
        Argument.CheckPair(any, inputs[index].Name, hasSpeakers, inputs[index + 1].Name);
        Argument.CheckPair(any, inputs[index].Name, hasFrames, inputs[index + 2].Name);
        if (!any)
        {
            return default;
        }
        Check(modality, inputs[index].Name, lengthName, batch, length);
        Check(mask, inputs[index + 1].Name, lengthName, batch, length);
        Check(frames, inputs[index + 2].Name, lengthName, batch, length, 2);
        TokenRoles roles = new() { Modality = (byte*)modality.Data, Speakers = (long*)mask.Data, Frames = (int*)frames.Data, Length = length };
        if (roles.FindFault(batch, speakers) is string fault)
        {
            string prefix = inputs[index].Name[..inputs[index].Name.IndexOf('_')];
            throw Argument.Error($"input {prefix}_{fault}");
        }
        return roles;
    }

    private static void Check(in TensorArgument input, string name, string lengthName, params ReadOnlySpan<long> expected)
    {
        bool fits = input.Rank == expected.Length;
        for (int i = 0; fits && i < expected.Length; i++)
        {
            fits = input.Shape[i] == expected[i];
        }
        if (!fits)
        {
            // The text is made only here: a run without errors allocates nothing.
            Argument.CheckShape(input, name, $"[B, {lengthName}{(expected.Length == 3 ? ", 2" : "")}]", expected);
        }
    }
}
