namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>The weights of x * Matrix + Bias.</summary>
/// <param name="Rows">Size of x.</param>
/// <param name="Columns">Size of the result.</param>
/// <param name="Matrix">[Rows, Columns]</param>
/// <param name="Bias">[Columns], or null.</param>
internal sealed record Projection(int Rows, int Columns, float[] Matrix, float[]? Bias = null)
{
    /// <summary>Sets row <paramref name="row"/> to 0: that input is not read.</summary>
    public void ClearRow(int row) => Matrix.AsSpan(row * Columns, Columns).Clear();

    /// <summary>Sets column <paramref name="column"/> and its bias to 0: that result is 0.</summary>
    public void ClearColumn(int column)
    {
        for (int row = 0; row < Rows; row++)
        {
            Matrix[(row * Columns) + column] = 0;
        }
        if (Bias is not null)
        {
            Bias[column] = 0;
        }
    }
}
