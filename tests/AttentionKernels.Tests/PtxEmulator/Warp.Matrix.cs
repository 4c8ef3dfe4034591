using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Tensor-core instructions.</summary>
internal sealed unsafe partial class Warp
{
    /// <summary>ldmatrix: register r of lane l gets row l / 4, elements 2 (l % 4) and the next, of matrix r; Mode 't': of its transpose.</summary>
    public static void LoadMatrix(Warp w, PtxInstruction i)
    {
        w.RequireWholeWarp(i);
        int matrices = i.Destinations.Length;
        ulong* addresses = stackalloc ulong[32];
        ushort* rows = stackalloc ushort[64 * 4];
        SharedMemory shared = w._block.Shared;
        for (int lane = 0; lane < 8 * matrices; lane++)
        {
            ulong address = w.Raw(i.A, i.AWide, lane) + (ulong)i.Immediate;
            addresses[lane] = address;
            // Every lane receives a part of the row, so the whole warp reads it.
            if ((address & 15) != 0 || address + 16 > (ulong)shared.Bytes)
            {
                w.Resolve(i, lane, 16, false, out _);   // finds the error
            }
            int bad = shared.Read((int)address, 16, w.Index, w.StampOf((int)SharedMemory.SeveralLanes));
            if (bad >= 0)
            {
                throw w.Error(i, lane, shared.DescribeRead(bad, w.Index));
            }
            Vector128.Load(shared.Data + address).Store((byte*)(rows + (8 * lane)));
        }
        for (int m = 0; m < matrices; m++)
        {
            uint* target = w.Lanes(i.Destinations[m]);
            ushort* matrix = rows + (64 * m);
            if (i.Mode == 't')
            {
                for (int lane = 0; lane < 32; lane++)
                {
                    int column = lane / 4;
                    int row = 2 * (lane % 4);
                    target[lane] = matrix[(8 * row) + column] | ((uint)matrix[(8 * row) + 8 + column] << 16);
                }
            }
            else
            {
                new ReadOnlySpan<uint>(matrix, 32).CopyTo(new Span<uint>(target, 32));
            }
        }
        w.CountBanks(addresses, matrices == 4 ? All : (1u << (8 * matrices)) - 1, 16);
    }

    /// <summary>mma m16n8k16 and m16n8k8 of f16 or bf16 with float32 sums.</summary>
    /// <remarks>
    /// Products are exact in float32 (22 bits of significand at most). They are added to C in the order of k, each sum rounded to
    /// nearest float32. The device sums in an order and with a rounding of its own; this one is about as far from the exact sum.
    /// </remarks>
    public static void Multiply(Warp w, PtxInstruction i)
    {
        w.RequireWholeWarp(i);
        bool brain = i.Type.Kind == 'h';
        int registersA = i.VectorBits;             // 4 for k = 16, 2 for k = 8
        int registersB = registersA / 2;
        int depth = 8 * registersB;
        float* a = stackalloc float[8 * 32];       // [register][half][lane]
        float* b = stackalloc float[4 * 32];
        float* columns = stackalloc float[16 * 8]; // B as [k][n]
        for (int r = 0; r < registersA; r++)
        {
            Widen(w.Lanes(i.Sources[r]), a + (64 * r), brain);
        }
        for (int r = 0; r < registersB; r++)
        {
            Widen(w.Lanes(i.Sources[registersA + r]), b + (64 * r), brain);
        }
        for (int k = 0; k < depth; k++)
        {
            float* source = b + (64 * (k / 8)) + (32 * (k % 2)) + (k % 8 / 2);
            for (int n = 0; n < 8; n++)
            {
                columns[(8 * k) + n] = source[4 * n];
            }
        }
        float* c0 = (float*)w.Lanes(i.Sources[registersA + registersB]);
        float* c1 = (float*)w.Lanes(i.Sources[registersA + registersB + 1]);
        float* c23 = stackalloc float[64];         // copied, because D may be C in another order
        new ReadOnlySpan<float>(w.Lanes(i.Sources[registersA + registersB + 2]), 32).CopyTo(new Span<float>(c23, 32));
        new ReadOnlySpan<float>(w.Lanes(i.Sources[registersA + registersB + 3]), 32).CopyTo(new Span<float>(c23 + 32, 32));
        // Rows g and g + 8 of A: registers 0, 2 and 1, 3.
        delegate*<float*, float*, int, float*, float*, float*, float*, void> multiply = w._block.TruncatesSums ? &MultiplyRowsTruncated : &MultiplyRows;
        multiply(a, columns, depth, c0, c1, (float*)w.Lanes(i.Destinations[0]), (float*)w.Lanes(i.Destinations[1]));
        multiply(a + 64, columns, depth, c23, c23 + 32, (float*)w.Lanes(i.Destinations[2]), (float*)w.Lanes(i.Destinations[3]));
    }

    // As MultiplyRows, with sums of eight products and C as PtxOptions.TruncatesSums says.
    private static void MultiplyRowsTruncated(float* a, float* columns, int depth, float* even, float* odd, float* evenOut, float* oddOut)
    {
        float* sums = stackalloc float[64];
        for (int n = 0; n < 64; n++)
        {
            (int row, int column) = (n / 8, n % 8);
            float sum = (column % 2 == 0 ? even : odd)[(4 * row) + (column / 2)];
            for (int block = 0; block < depth; block += 8)
            {
                sum = AddTruncated(a + (16 * block) + (4 * row), columns + (8 * block) + column, sum);
            }
            sums[n] = float.IsNaN(sum) ? BitConverter.UInt32BitsToSingle(0x7fff_ffff) : sum;
        }
        for (int n = 0; n < 64; n++)
        {
            (n % 2 == 0 ? evenOut : oddOut)[(4 * (n / 8)) + (n % 8 / 2)] = sums[n];
        }
    }

    private static float AddTruncated(float* row, float* column, float c)
    {
        double* terms = stackalloc double[9];
        double largest = Math.Abs((double)c), plain = c;
        terms[8] = c;
        for (int k = 0; k < 8; k++)
        {
            terms[k] = (double)row[(32 * (k % 2)) + (k / 2)] * column[8 * k];
            largest = Math.Max(largest, Math.Abs(terms[k]));
            plain += terms[k];
        }
        if (!double.IsFinite(plain) || largest == 0)
        {
            return (float)plain;
        }
        double unit = Math.ScaleB(1, Math.ILogB(largest) - 23), sum = 0;
        for (int k = 0; k < 9; k++)
        {
            sum += Math.Truncate(terms[k] / unit);
        }
        sum *= unit;
        float rounded = (float)sum;
        return Math.Abs((double)rounded) <= Math.Abs(sum) ? rounded : rounded > 0 ? MathF.BitDecrement(rounded) : MathF.BitIncrement(rounded);
    }

    // Eight rows; even and odd columns of C and D lie in different registers, four lanes for each row.
    private static void MultiplyRows(float* a, float* columns, int depth, float* even, float* odd, float* evenOut, float* oddOut)
    {
        Vector256<float> s0 = Row(even, odd, 0), s1 = Row(even, odd, 1), s2 = Row(even, odd, 2), s3 = Row(even, odd, 3);
        Vector256<float> s4 = Row(even, odd, 4), s5 = Row(even, odd, 5), s6 = Row(even, odd, 6), s7 = Row(even, odd, 7);
        for (int k = 0; k < depth; k++)
        {
            // Register 0 or 2 (k above 7), low or high half, lane t of the row's four.
            float* x = a + (128 * (k / 8)) + (32 * (k % 2)) + (k % 8 / 2);
            Vector256<float> column = Vector256.Load(columns + (8 * k));
            s0 = Vector256.FusedMultiplyAdd(Vector256.Create(x[0]), column, s0);
            s1 = Vector256.FusedMultiplyAdd(Vector256.Create(x[4]), column, s1);
            s2 = Vector256.FusedMultiplyAdd(Vector256.Create(x[8]), column, s2);
            s3 = Vector256.FusedMultiplyAdd(Vector256.Create(x[12]), column, s3);
            s4 = Vector256.FusedMultiplyAdd(Vector256.Create(x[16]), column, s4);
            s5 = Vector256.FusedMultiplyAdd(Vector256.Create(x[20]), column, s5);
            s6 = Vector256.FusedMultiplyAdd(Vector256.Create(x[24]), column, s6);
            s7 = Vector256.FusedMultiplyAdd(Vector256.Create(x[28]), column, s7);
        }
        PutRow(s0, evenOut, oddOut, 0);
        PutRow(s1, evenOut, oddOut, 1);
        PutRow(s2, evenOut, oddOut, 2);
        PutRow(s3, evenOut, oddOut, 3);
        PutRow(s4, evenOut, oddOut, 4);
        PutRow(s5, evenOut, oddOut, 5);
        PutRow(s6, evenOut, oddOut, 6);
        PutRow(s7, evenOut, oddOut, 7);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Row(float* even, float* odd, int row) =>
        Vector256.Shuffle(
            Vector256.Create(Vector128.Load(even + (4 * row)), Vector128.Load(odd + (4 * row))),
            Vector256.Create(0, 4, 1, 5, 2, 6, 3, 7));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PutRow(Vector256<float> sums, float* even, float* odd, int row)
    {
        Vector256<float> parted = Vector256.Shuffle(sums, Vector256.Create(0, 2, 4, 6, 1, 3, 5, 7));
        // The device gives the canonical NaN.
        parted = Vector256.ConditionalSelect(Vector256.Equals(parted, parted), parted, Vector256.Create(0x7fff_ffffu).AsSingle());
        parted.GetLower().Store(even + (4 * row));
        parted.GetUpper().Store(odd + (4 * row));
    }

    // One register of pairs to [low halves][high halves].
    private static void Widen(uint* lanes, float* target, bool brain)
    {
        for (int at = 0; at < 32; at += 8)
        {
            Vector256<uint> bits = Vector256.Load(lanes + at);
            Vector256<uint> low = bits & Vector256.Create(0xffffu);
            Vector256<uint> high = bits >>> 16;
            (brain ? NarrowFloat.FromBrainFloat(low) : NarrowFloat.FromHalf(low)).Store(target + at);
            (brain ? NarrowFloat.FromBrainFloat(high) : NarrowFloat.FromHalf(high)).Store(target + 32 + at);
        }
    }
}
