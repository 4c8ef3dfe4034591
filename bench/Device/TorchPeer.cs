using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Device;

/// <summary>
/// A Python process that times PyTorch on the same device: torch_peer.py, one line of JSON for a request and one for its answer. A process that hangs or dies is ended, and the next case gets another.
/// </summary>
internal sealed class TorchPeer : IDisposable
{
    private const int MostStarts = 5;
    private const int KeptErrorLines = 5;

    private readonly string _python;
    private readonly int _ordinal;
    private readonly TimeSpan _limit;
    private readonly Queue<string> _errors = new();
    private Process? _process;
    private BlockingCollection<string> _answers = [];
    private int _starts;

    /// <param name="python">A Python; null: python3 of the PATH.</param>
    /// <param name="ordinal">Number of the device among the visible ones.</param>
    /// <param name="limit">How long an answer may take: PyTorch compiles for a minute or two.</param>
    public TorchPeer(string? python, int ordinal, TimeSpan limit) => (_python, _ordinal, _limit) = (python ?? "python3", ordinal, limit);

    /// <summary>Processes started so far: what was made ready before the last one is gone. 0: none runs.</summary>
    public int Generation => _process == null ? 0 : _starts;

    /// <summary>Starts it and asks for its versions.</summary>
    /// <returns>What answered; without a PyTorch that sees a device, the reason.</returns>
    public TorchDescription Start(CancellationToken cancellation)
    {
        try
        {
            JsonElement answer = Launch(cancellation);
            return new TorchDescription(Text("torch"), Text("cuda"), Text("cudnn"), Text("python"), Text("device"), null);

            string? Text(string name) => answer.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;
        }
        catch (BenchException e)
        {
            Kill();
            return TorchDescription.None(e.Message);
        }
    }

    /// <summary>Makes a side of a case ready, and checks it there.</summary>
    /// <returns>Backend and largest relative error.</returns>
    /// <exception cref="BenchException">It cannot do it; the message is PyTorch's.</exception>
    public (string Backend, double Error, double HostMicroseconds) Prepare(in DeviceCase c, DeviceTensors tensors, string side, CancellationToken cancellation)
    {
        if (_process == null)
        {
            Launch(cancellation);
        }
        JsonElement answer = Ask(new { Op = "prepare", Side = side, Case = TorchCase.Of(c, tensors) }, cancellation);
        return (answer.GetProperty("backend").GetString()!, answer.GetProperty("error").GetDouble(), answer.GetProperty("host_microseconds").GetDouble());
    }

    /// <summary>Milliseconds of one call of a side that is ready, mean over calls.</summary>
    /// <exception cref="BenchException">It failed.</exception>
    public double Time(string side, int calls, CancellationToken cancellation) =>
        Ask(new { Op = "time", Side = side, Calls = calls }, cancellation).GetProperty("milliseconds").GetDouble();

    /// <summary>Gives the case's memory back.</summary>
    public void Release(CancellationToken cancellation)
    {
        if (_process != null)
        {
            try
            {
                Ask(new { Op = "release" }, cancellation);
            }
            catch (BenchException)
            {
                Kill();
            }
        }
    }

    /// <summary>Ends the process, whatever it does.</summary>
    public void Dispose() => Kill();

    private JsonElement Launch(CancellationToken cancellation)
    {
        if (++_starts > MostStarts)
        {
            throw new BenchException($"{_python} was ended {MostStarts} times and is not started again");
        }
        string script = Path.Combine(AppContext.BaseDirectory, "Device", "torch_peer.py");
        ProcessStartInfo start = new(_python, ["-u", script]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        BlockingCollection<string> answers = _answers = [];
        lock (_errors)
        {
            _errors.Clear();
        }
        try
        {
            _process = Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new BenchException($"{_python} did not start: {e.Message}");
        }
        _process.OutputDataReceived += (_, line) =>
        {
            if (line.Data == null)
            {
                answers.CompleteAdding();
            }
            else
            {
                answers.Add(line.Data);
            }
        };
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors)
            {
                _errors.Enqueue(line.Data ?? "");
                while (_errors.Count > KeptErrorLines)
                {
                    _errors.Dequeue();
                }
            }
        };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        try
        {
            return Ask(new { Op = "hello", Device = _ordinal }, cancellation);
        }
        catch (BenchException)
        {
            // It could not begin, and would answer nothing later.
            Kill();
            throw;
        }
    }

    private JsonElement Ask<T>(T request, CancellationToken cancellation)
    {
        if (_process == null)
        {
            throw new BenchException($"{_python} was ended");
        }
        string? line;
        try
        {
            _process.StandardInput.WriteLine(JsonSerializer.Serialize(request, TorchCase.Json));
            _process.StandardInput.Flush();
            if (!_answers.TryTake(out line, (int)_limit.TotalMilliseconds, cancellation))
            {
                string died = _answers.IsCompleted ? $"{_python} ended" : FormattableString.Invariant($"{_python} did not answer within {_limit.TotalSeconds:0} s");
                Kill();
                throw new BenchException($"{died}{LastErrors()}");
            }
        }
        catch (IOException e)
        {
            Kill();
            throw new BenchException($"{_python} ended: {e.Message}{LastErrors()}");
        }
        catch (OperationCanceledException)
        {
            Kill();
            throw;
        }
        JsonElement answer;
        try
        {
            answer = JsonDocument.Parse(line).RootElement;
        }
        catch (JsonException)
        {
            Kill();
            throw new BenchException($"{_python} answered '{line}', expected JSON");
        }
        return answer.TryGetProperty("failure", out JsonElement failure) ? throw new BenchException(failure.GetString() ?? "no reason given") : answer;
    }

    private string LastErrors()
    {
        lock (_errors)
        {
            string text = string.Join(" | ", _errors.Where(line => line.Length > 0));
            return text.Length == 0 ? "" : $"; it said: {text}";
        }
    }

    private void Kill()
    {
        if (_process == null)
        {
            return;
        }
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
        _process.WaitForExit();
        _process.Dispose();
        _process = null;
    }
}
