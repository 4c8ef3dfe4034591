using System.Text.RegularExpressions;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>
/// Removes the .local slots through which ILGPU passes every operand of CudaAsm. ptxas removes them, too, but not from a kernel with cp.async.
/// </summary>
/// <remarks>
/// A slot is stored and loaded in one basic block, around one instruction. So each load is replaced by what was stored last: its register becomes another
/// name of the stored value, and no instruction is left. Where that value may change while the name is in use (a variable of a loop) and for
/// constants, which not every instruction takes, a mov is left.
/// </remarks>
internal static partial class PtxSlots
{
    /// <summary>The text without local memory.</summary>
    /// <exception cref="CompileException">A slot is not used like that: an array with an index that is not constant, or a structure out of which a reference was taken.</exception>
    public static string Remove(string ptx)
    {
        string[] lines = ptx.Split('\n');
        Dictionary<string, string> slots = SlotAddresses(lines);
        Dictionary<string, List<int>> definitions = Definitions(lines), uses = Uses(lines);
        Dictionary<string, string> alias = [], stored = [];
        List<string> kept = [];
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i];
            if (SlotDeclaration().IsMatch(line) || SlotAddress().IsMatch(line))
            {
                continue;
            }
            if (BlockBorder().IsMatch(line))
            {
                stored.Clear();
            }
            if (Store().Match(line) is { Success: true } store && slots.TryGetValue(store.Groups["address"].Value, out string? to))
            {
                stored[to] = Resolve(store.Groups["value"].Value);
            }
            else if (Load().Match(line) is { Success: true } load && slots.TryGetValue(load.Groups["address"].Value, out string? from))
            {
                string register = load.Groups["register"].Value;
                if (!stored.TryGetValue(from, out string? value))
                {
                    throw new CompileException($"{from} is loaded in a block that did not store it: \"{line.Trim()}\"");
                }
                if (IsStable(value, register, i))
                {
                    alias[register] = value;
                }
                else
                {
                    kept.Add($"\tmov.{load.Groups["type"].Value}\t{register}, {value};");
                }
            }
            else
            {
                kept.Add(Register().Replace(line, m => Resolve(m.Value)));
            }
        }
        string text = string.Join('\n', kept);
        int left = text.IndexOf(".local", StringComparison.Ordinal);
        return left < 0 ? text : throw new CompileException($"local memory is left: \"{text[left..Math.Min(text.Length, left + 60)]}\"");

        string Resolve(string operand) => alias.GetValueOrDefault(operand, operand);

        // Whether the value is the same wherever the loaded register is used.
        bool IsStable(string value, string register, int load)
        {
            if (!definitions.TryGetValue(value, out List<int>? defined))
            {
                return false;
            }
            if (definitions[register].Count > 1)
            {
                return false;
            }
            int blockEnd = Array.FindIndex(lines, load, line => BlockBorder().IsMatch(line));
            int change = defined.Count == 1 ? int.MaxValue : defined.Where(at => at > load).Append(blockEnd).Min();
            return change == int.MaxValue || uses.GetValueOrDefault(register, []).TrueForAll(at => at > load && at <= change && at <= blockEnd);
        }
    }

    private static Dictionary<string, string> SlotAddresses(string[] lines) =>
        lines.Select(line => SlotAddress().Match(line)).Where(m => m.Success).ToDictionary(m => m.Groups["register"].Value, m => m.Groups["slot"].Value);

    /// <summary>Lines that write each register: its first operand, or the list in braces that is its first operand.</summary>
    private static Dictionary<string, List<int>> Definitions(string[] lines)
    {
        Dictionary<string, List<int>> definitions = [];
        for (int i = 0; i < lines.Length; i++)
        {
            if (Destination().Match(lines[i]) is { Success: true } m)
            {
                foreach (Match register in Register().Matches(m.Groups["destination"].Value))
                {
                    Add(definitions, register.Value, i);
                }
            }
        }
        return definitions;
    }

    private static Dictionary<string, List<int>> Uses(string[] lines)
    {
        Dictionary<string, List<int>> uses = [];
        for (int i = 0; i < lines.Length; i++)
        {
            int operands = Destination().Match(lines[i]) is { Success: true } m ? m.Length : 0;
            foreach (Match register in Register().Matches(lines[i], operands))
            {
                Add(uses, register.Value, i);
            }
        }
        return uses;
    }

    private static void Add(Dictionary<string, List<int>> lists, string register, int line)
    {
        if (!lists.TryGetValue(register, out List<int>? list))
        {
            lists[register] = list = [];
        }
        list.Add(line);
    }

    [GeneratedRegex(@"^\s*\.local \.align \d+ \.b8 __local_depot\d+\[\d+\];$")]
    private static partial Regex SlotDeclaration();

    [GeneratedRegex(@"^\s*mov\.b64\s+(?<register>%rd\d+), (?<slot>__local_depot\d+);$")]
    private static partial Regex SlotAddress();

    [GeneratedRegex(@"^\s*st\.local\.\w+\s+\[(?<address>%rd\d+)\], (?<value>[^;]+);$")]
    private static partial Regex Store();

    [GeneratedRegex(@"^\s*ld\.local\.(?<type>\w+)\s+(?<register>%\w+), \[(?<address>%rd\d+)\];$")]
    private static partial Regex Load();

    /// <summary>A label, a branch, a return.</summary>
    [GeneratedRegex(@"^\s*(L_\d+:|(@!?%p\d+ )?(bra|ret)\b|\})")]
    private static partial Regex BlockBorder();

    /// <summary>An instruction that writes registers, up to the last of them: everything but stores, copies, branches, barriers.</summary>
    [GeneratedRegex(@"^\s*(@!?%p\d+ )?(?!st\.|cp\.|bra|bar|red\.|ret)[a-z][\w.:]*\s+(?<destination>\{[^}]*\}|%\w+(\|%\w+)?)")]
    private static partial Regex Destination();

    [GeneratedRegex(@"%(rs|rd|r|f|fd|p)\d+\b")]
    private static partial Regex Register();
}
