namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Fragments of mma and ldmatrix against a matrix product written down.</summary>
public sealed class PtxMatrixTests
{
    [Theory]
    [InlineData("f16", 16, false)]
    [InlineData("bf16", 16, false)]
    [InlineData("f16", 8, false)]
    [InlineData("bf16", 8, false)]
    [InlineData("f16", 16, true)]
    [InlineData("bf16", 8, true)]
    public void Mma_Multiplies_The_Matrices_Of_Its_Fragments(string type, int depth, bool truncates)
    {
        Random random = new(depth);
        // Small integers: sums are exact in any order. Lane l holds row l / 4 (n for B) and columns 2 (l % 4) and the next.
        float[,] a = Matrix(16, depth), b = Matrix(depth, 8), c = Matrix(16, 8);
        float[,] Matrix(int rows, int columns)
        {
            float[,] matrix = new float[rows, columns];
            for (int i = 0; i < rows * columns; i++)
            {
                matrix[i / columns, i % columns] = random.Next(-15, 16);
            }
            return matrix;
        }
        uint Pair(float low, float high) => Bits(low) | (Bits(high) << 16);
        uint Bits(float value) => type == "f16" ? BitConverter.HalfToUInt16Bits((Half)value) : BitConverter.SingleToUInt32Bits(value) >> 16;
        List<uint> input = [];
        for (int l = 0; l < 32; l++)
        {
            (int g, int t) = (l / 4, l % 4);
            for (int k = 0; k < depth; k += 8)
            {
                input.Add(Pair(a[g, k + (2 * t)], a[g, k + (2 * t) + 1]));
                input.Add(Pair(a[g + 8, k + (2 * t)], a[g + 8, k + (2 * t) + 1]));
            }
            for (int k = 0; k < depth; k += 8)
            {
                input.Add(Pair(b[k + (2 * t), g], b[k + (2 * t) + 1, g]));
            }
            input.AddRange(new[] { c[g, 2 * t], c[g, (2 * t) + 1], c[g + 8, 2 * t], c[g + 8, (2 * t) + 1] }.Select(BitConverter.SingleToUInt32Bits));
        }
        int words = input.Count / 32;
        int fragmentA = depth / 4;
        string loads = string.Concat(Enumerable.Range(0, words).Select(w => $"ld.global.b32 %r{w + 8}, [%rd8+{4 * w}];\n"));
        string List(int first, int count) => "{" + string.Join(", ", Enumerable.Range(first, count).Select(r => $"%r{r}")) + "}";
        int firstC = 8 + fragmentA + (fragmentA / 2);
        PtxProgram program = new($"""
            mul.wide.u32 %rd8, %r0, {4 * words};
            add.s64 %rd8, %rd8, %rd0;
            {loads}
            mma.sync.aligned.m16n8k{depth}.row.col.f32.{type}.{type}.f32 {List(firstC, 4)}, {List(8, fragmentA)}, {List(8 + fragmentA, fragmentA / 2)}, {List(firstC, 4)};
            mul.wide.u32 %rd9, %r0, 16;
            add.s64 %rd9, %rd9, %rd1;
            st.global.v4.b32 [%rd9], {List(firstC, 4)};
            """)
        { Options = new PtxOptions { TruncatesSums = truncates } };
        ulong[] output = program.Run([.. input], 512);
        for (int l = 0; l < 32; l++)
        {
            for (int e = 0; e < 4; e++)
            {
                int row = (l / 4) + (e / 2 * 8);
                int column = (2 * (l % 4)) + (e % 2);
                float expected = c[row, column] + Enumerable.Range(0, depth).Sum(k => a[row, k] * b[k, column]);
                Assert.Equal(expected, BitConverter.UInt32BitsToSingle((uint)(output[(2 * l) + (e / 2)] >> (32 * (e % 2)))));
            }
        }
        Assert.Equal(1, program.Counts.Mma);
    }

    [Fact]
    public void Mma_Rounds_Like_Sums_In_Order_Of_K()
    {
        // Row of A: 1, then 2^-13 fifteen times (exact halves); B: 1 and 2^-12: each product 2^-25 is lost against 1, as the remark says.
        PtxProgram program = new("""
            mov.b32 %r8, 0x08003c00;
            setp.eq.u32 %p1, %r0, 0;
            mov.b32 %r9, 0x08000800;
            and.b32 %r10, %r0, 3;
            setp.eq.u32 %p1, %r10, 0;
            selp.b32 %r8, %r8, %r9, %p1;
            mov.b32 %r11, 0x0c003c00;
            mov.b32 %r12, 0x0c000c00;
            selp.b32 %r11, %r11, %r12, %p1;
            mov.b32 %r13, 0;
            mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r4, %r5, %r6, %r7}, {%r8, %r8, %r9, %r9}, {%r11, %r12}, {%r13, %r13, %r13, %r13};
            st.global.b32 [%rd3], %r4;
            """);
        float sum = 0;
        for (int k = 0; k < 16; k++)
        {
            sum += k == 0 ? 1 : (float)BitConverter.UInt16BitsToHalf(0x0800) * (float)BitConverter.UInt16BitsToHalf(0x0c00);
        }
        Assert.All(program.Run32([]), bits => Assert.Equal(sum, BitConverter.UInt32BitsToSingle(bits)));
    }

    /// <summary>1 and sixteen products of three quarters of its last place: each rounds up, or is cut.</summary>
    [Theory]
    [InlineData(false, 1f + (16f / (1 << 23)))]
    [InlineData(true, 1f)]
    public void Mma_Rounds_Sums_Or_Cuts_Them(bool truncates, float sum)
    {
        PtxProgram program = new("""
            mov.b32 %r8, 0x0e000e00;
            mov.b32 %r9, 0x0c000c00;
            mov.b32 %r10, 0x3f800000;
            mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r4, %r5, %r6, %r7}, {%r8, %r8, %r8, %r8}, {%r9, %r9}, {%r10, %r10, %r10, %r10};
            st.global.b32 [%rd3], %r4;
            """)
        { Options = new PtxOptions { TruncatesSums = truncates } };
        Assert.All(program.Run32([]), bits => Assert.Equal(sum, BitConverter.UInt32BitsToSingle(bits)));
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(4, false)]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(4, true)]
    public void Ldmatrix_Gives_Each_Lane_Its_Pair_Of_Its_Matrix(int matrices, bool transposed)
    {
        string registers = string.Join(", ", Enumerable.Range(8, matrices).Select(r => $"%r{r}"));
        string stores = string.Concat(Enumerable.Range(0, matrices).Select(m => $"st.global.b32 [%rd9+{4 * m}], %r{8 + m};\n"));
        // Element e of row r of matrix m is 1000 m + 10 r + e; rows are 48 bytes apart.
        PtxProgram program = new($$"""
            mul.lo.u32 %r3, %r0, 48;
            shr.u32 %r4, %r0, 3;
            and.b32 %r5, %r0, 7;
            mul.lo.u32 %r4, %r4, 1000;
            mad.lo.u32 %r4, %r5, 10, %r4;
            mov.u32 %r6, 0;
            fill:
            cvt.u16.u32 %h1, %r4;
            st.shared.b16 [%r3], %h1;
            add.u32 %r3, %r3, 2;
            add.u32 %r4, %r4, 1;
            add.u32 %r6, %r6, 1;
            setp.lt.u32 %p1, %r6, 8;
            @%p1 bra.uni fill;
            bar.sync 0;
            mul.lo.u32 %r3, %r0, 48;
            ldmatrix.sync.aligned.m8n8.x{{matrices}}{{(transposed ? ".trans" : "")}}.shared.b16 {{{registers}}}, [%r3];
            mul.wide.u32 %rd9, %r0, 16;
            add.s64 %rd9, %rd9, %rd1;
            {{stores}}
            """, ".shared .align 16 .b8 smem[1536];");
        ulong[] output = program.Run([], 512);
        for (int l = 0; l < 32; l++)
        {
            for (int m = 0; m < matrices; m++)
            {
                (int row, int column) = (l / 4, 2 * (l % 4));
                int first = (1000 * m) + (transposed ? (10 * column) + row : (10 * row) + column);
                int second = (1000 * m) + (transposed ? (10 * (column + 1)) + row : (10 * row) + column + 1);
                Assert.Equal((uint)(first | (second << 16)), (uint)(output[(2 * l) + (m / 2)] >> (32 * (m % 2))));
            }
        }
    }
}
