using System.Numerics;
using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>
/// The decoder as plain loops over one sequence, in the arithmetic of T: double for the truth, float or Half for what plain arithmetic of
/// that precision may lose. Shares only the weights with the builder.
/// </summary>
/// <param name="config">The decoder.</param>
/// <param name="input">The sequence.</param>
/// <param name="order">0..31: the term at which sums over features start, in parts of 32, since the rounding of one order is a matter of luck.</param>
internal sealed class DecoderReference<T>(DecoderConfig config, DecoderInput input, int order = 0)
    where T : IFloatingPointIeee754<T>
{
    private readonly DecoderWeights _weights = new(config);
    private readonly int _length = input.Length;

    /// <summary>[T, Vocabulary]</summary>
    public T[] Logits()
    {
        T[] x = Constants(input.Embeddings);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string name = $"/model/layers.{layer}";
            T[] normalized = Norm(x, name + "/input_layernorm");
            T[] q = Rotate(Project(normalized, _weights.Query(layer)), config.Heads);
            T[] k = Rotate(Project(normalized, _weights.Key(layer)), config.KvHeads);
            T[] v = Project(normalized, _weights.Value(layer));
            x = Zip(x, Project(Attend(q, k, v), _weights.AttentionOutput(layer)), (a, b) => a + b);

            normalized = Norm(x, name + "/post_attention_layernorm");
            T[] gate = Project(normalized, _weights.Gate(layer));
            T[] up = Project(normalized, _weights.Up(layer));
            T[] inner = Zip(gate, up, (g, u) => g / (T.One + T.Exp(-g)) * u);
            x = Zip(x, Project(inner, _weights.Down(layer)), (a, b) => a + b);
        }
        return Project(Norm(x, "/model/final_norm"), _weights.LanguageHead());
    }

    private T Constant(float value) => T.CreateChecked(config.Type == ElementType.Float16 ? (float)(Half)value : value);

    private T[] Constants(float[] values) => [.. values.Select(Constant)];

    private static T[] Zip(T[] a, T[] b, Func<T, T, T> f) => [.. a.Zip(b, f)];

    private T[] Norm(T[] x, string name)
    {
        T[] weights = Constants(_weights.Norm(name));
        T[] y = new T[x.Length];
        for (int row = 0; row < _length; row++)
        {
            int start = row * config.Hidden;
            T sum = T.Zero;
            for (int i = 0; i < config.Hidden; i++)
            {
                sum += x[start + i] * x[start + i];
            }
            T root = T.Sqrt((sum / T.CreateChecked(config.Hidden)) + T.CreateChecked(config.RmsEpsilon));
            for (int i = 0; i < config.Hidden; i++)
            {
                y[start + i] = x[start + i] / root * weights[i];
            }
        }
        return y;
    }

    private T[] Project(T[] x, Projection projection)
    {
        T[] matrix = Constants(projection.Matrix);
        T[] bias = projection.Bias is null ? [] : Constants(projection.Bias);
        T[] y = new T[_length * projection.Columns];
        for (int row = 0; row < _length; row++)
        {
            for (int column = 0; column < projection.Columns; column++)
            {
                T sum = T.Zero;
                for (int n = 0; n < projection.Rows; n++)
                {
                    int i = (n + (order * projection.Rows / 32)) % projection.Rows;
                    sum += x[(row * projection.Rows) + i] * matrix[(i * projection.Columns) + column];
                }
                y[(row * projection.Columns) + column] = projection.Bias is null ? sum : sum + bias[column];
            }
        }
        return y;
    }

    // Angles are float32 in every precision: they are part of what the decoder is, not of how exactly it is computed.
    private T[] Rotate(T[] x, int heads)
    {
        int half = config.HeadSize / 2;
        MropeSections sections = config.Sections;
        T[] y = new T[x.Length];
        for (int row = 0; row < _length; row++)
        {
            for (int i = 0; i < half; i++)
            {
                int axis = i < sections.Time ? 0 : i < sections.Time + sections.Height ? 1 : 2;
                float angle = input.Positions[axis][row] * (float)Math.Pow(config.RopeTheta, -2.0 * i / config.HeadSize);
                T cos = T.CreateChecked(Math.Cos(angle)), sin = T.CreateChecked(Math.Sin(angle));
                for (int h = 0; h < heads; h++)
                {
                    int first = (((row * heads) + h) * config.HeadSize) + i, second = first + half;
                    y[first] = (x[first] * cos) - (x[second] * sin);
                    y[second] = (x[second] * cos) + (x[first] * sin);
                }
            }
        }
        return y;
    }

    private T[] Attend(T[] q, T[] k, T[] v)
    {
        int size = config.HeadSize;
        T scale = T.One / T.Sqrt(T.CreateChecked(size));
        T[] y = new T[q.Length];
        for (int h = 0; h < config.Heads; h++)
        {
            int kv = h / (config.Heads / config.KvHeads);
            for (int row = 0; row < _length; row++)
            {
                int query = ((row * config.Heads) + h) * size;
                T[] s = new T[row + 1];
                for (int j = 0; j <= row; j++)
                {
                    int key = ((j * config.KvHeads) + kv) * size;
                    T dot = T.Zero;
                    for (int d = 0; d < size; d++)
                    {
                        dot += q[query + d] * k[key + d];
                    }
                    s[j] = dot * scale;
                }
                T max = s.Max()!;
                T sum = T.Zero;
                for (int j = 0; j <= row; j++)
                {
                    s[j] = T.Exp(s[j] - max);
                    sum += s[j];
                }
                for (int j = 0; j <= row; j++)
                {
                    int value = ((j * config.KvHeads) + kv) * size;
                    for (int d = 0; d < size; d++)
                    {
                        y[query + d] += s[j] / sum * v[value + d];
                    }
                }
            }
        }
        return y;
    }
}
