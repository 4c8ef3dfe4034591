using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Interop;

/// <summary>
/// y = scale * x * gain + bias with optional gain and bias of x's shape, and an optional output that holds the largest y. Float or
/// float16. It goes through scratch memory and the session's threads, so that one small op uses the whole layer.
/// </summary>
internal sealed unsafe class ScaleAddOp(OnnxElementType type = OnnxElementType.Float) : CustomOp
{
    public const string DomainName = "test.ops";

    /// <summary>Managed bytes that the last Compute on this thread allocated.</summary>
    [ThreadStatic]
    public static long AllocatedBytes;

    public override string Name => "ScaleAdd";

    public override IReadOnlyList<OpParameter> Inputs { get; } = [new("x", type), new("gain", type, Optional: true), new("bias", type, Optional: true)];

    public override IReadOnlyList<OpParameter> Outputs { get; } = [new("y", type), new("largest", OnnxElementType.Float, Optional: true)];

    /// <summary>Runs in CreateKernel.</summary>
    public Action? OnCreate { get; init; }

    /// <summary>Runs in Compute before anything else.</summary>
    public Action? OnCompute { get; init; }

    /// <summary>Sees what CreateKernel is told.</summary>
    public Action<string>? OnInfo { get; init; }

    /// <summary>Sees what InferShapes is told.</summary>
    public Action<string>? OnInfer { get; init; }

    public override CustomOpKernel CreateKernel(in KernelInfo info)
    {
        OnCreate?.Invoke();
        string mode = info.String("mode") ?? "plain";
        long repeat = info.Int("repeat") ?? 1;
        OnInfo?.Invoke($"{info.NodeName} {info.InputCount} {info.OutputCount} {mode} {repeat}");
        float scale = info.Float("scale") ?? 1f;
        return scale < 0 ? throw new OrtException(OrtErrorCode.InvalidArgument, $"scale is {scale}, expected at least 0") : new Kernel(this, scale);
    }

    public override void InferShapes(in ShapeInferenceContext context)
    {
        OnInfer?.Invoke($"{context.InputCount} {context.Input(0)} {context.Input(1)?.ToString() ?? "none"} {context.Float("scale")} {context.Int("repeat")} {context.String("mode")}");
        if (context.Input(0) is OnnxTensorType { Shape.Count: > 0 } x)
        {
            context.SetOutput(0, x.ElementType, [.. x.Shape]);
        }
        context.SetOutput(1, OnnxElementType.Float, 1);
    }

    private sealed class Kernel(ScaleAddOp op, float scale) : CustomOpKernel
    {
        public override void Compute(in KernelContext context)
        {
            op.OnCompute?.Invoke();
            long before = GC.GetAllocatedBytesForCurrentThread();
            ComputeRows(context);
            AllocatedBytes = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        private void ComputeRows(in KernelContext context)
        {
            _ = context.TryGetInput(0, out TensorArgument x);
            Call call = new() { X = x.Data, Type = x.ElementType, Scale = scale };
            call.Gain = context.TryGetInput(1, out TensorArgument gain) ? gain.Data : null;
            call.Bias = context.TryGetInput(2, out TensorArgument bias) ? bias.Data : null;
            call.Y = context.Output(0, x.Shape);
            call.Columns = x.Rank > 0 ? x.Shape[^1] : 1;
            long rows = call.Columns == 0 ? 0 : x.ElementCount / call.Columns;
            float* largest = (float*)context.Output(1, 1);

            using ScratchBuffer scratch = context.Scratch(rows, sizeof(float));
            call.Largest = (float*)scratch.Data;
            context.ParallelFor(&Row, (nuint)rows, &call);
            if (largest != null)
            {
                *largest = float.NegativeInfinity;
                for (long r = 0; r < rows; r++)
                {
                    *largest = Math.Max(*largest, call.Largest[r]);
                }
            }
        }

        [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
        private static void Row(void* state, nuint row)
        {
            Call* call = (Call*)state;
            call->Largest[row] = float.NegativeInfinity;
            for (nuint i = row * (nuint)call->Columns; i < (row + 1) * (nuint)call->Columns; i++)
            {
                float y = (call->Scale * Load(call->X, i, call->Type) * (call->Gain == null ? 1 : Load(call->Gain, i, call->Type)))
                    + (call->Bias == null ? 0 : Load(call->Bias, i, call->Type));
                if (call->Type == OnnxElementType.Float)
                {
                    ((float*)call->Y)[i] = y;
                }
                else
                {
                    ((Half*)call->Y)[i] = (Half)y;
                }
                call->Largest[row] = Math.Max(call->Largest[row], y);
            }
        }

        private static float Load(void* data, nuint i, OnnxElementType type) =>
            type == OnnxElementType.Float ? ((float*)data)[i] : (float)((Half*)data)[i];

        private struct Call
        {
            public void* X;
            public void* Gain;
            public void* Bias;
            public void* Y;
            public float* Largest;
            public long Columns;
            public float Scale;
            public OnnxElementType Type;
        }
    }
}
