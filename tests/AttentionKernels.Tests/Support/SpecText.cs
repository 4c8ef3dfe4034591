using System.Globalization;
using System.Reflection;

namespace AttentionKernels.Tests.Support;

/// <summary>The numbers of a random case as one line, "B=1 Kv=2 ...", and back.</summary>
internal static class SpecText
{
    public static string Of<T>(T spec) => string.Join(' ', Fields<T>().Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Name}={p.GetValue(spec)}")));

    public static T Parse<T>(string text)
        where T : class, new()
    {
        T spec = new();
        foreach (string pair in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = pair.Split('=');
            PropertyInfo field = Fields<T>().Single(p => p.Name == parts[0]);
            object value = field.PropertyType.IsEnum ? Enum.Parse(field.PropertyType, parts[1])
                : Convert.ChangeType(parts[1], field.PropertyType, CultureInfo.InvariantCulture);
            field.SetValue(spec, value);
        }
        return spec;
    }

    private static IEnumerable<PropertyInfo> Fields<T>() => typeof(T).GetProperties().Where(p => p.CanWrite);
}
