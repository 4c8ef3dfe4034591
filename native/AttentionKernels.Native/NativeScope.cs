using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Steering;

namespace AttentionKernels.Native;

/// <summary>A scope of the C interface: a description that may be set on a thread again and again. Safe to use on any thread.</summary>
internal sealed class NativeScope
{
    private readonly Lock _gate = new();
    private SteeringRoles? _keys;
    private SteeringRoles? _queries;
    private SteeringScopeSettings _settings = new();

    // Both or neither: the scope while it is set, and the thread that it is set on.
    private SteeringScope? _running;
    private Thread? _owner;
    private IReadOnlyList<SteeredLayerScores>? _found;
    private bool _destroyed;

    public void SetRoles(SteeringRoles roles) => Change(() => _keys = roles);

    public void SetQueryRoles(SteeringRoles? roles) => Change(() => _queries = roles);

    /// <param name="change">Gives the new settings for the old; may throw.</param>
    public void SetSettings(Func<SteeringScopeSettings, SteeringScopeSettings> change) => Change(() => _settings = change(_settings));

    public void SetLayers(string layers) => SetSettings(settings => settings with { Layers = LayerRange.Parse(layers) });

    /// <summary>Sets the scope on this thread.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            ThrowIfRunning();
            if (_destroyed)
            {
                // By another thread, since this one looked the handle up.
                throw new NativeException(NativeStatus.InvalidHandle, "the scope was destroyed");
            }
            if (_keys == null)
            {
                throw new NativeException(NativeStatus.WrongState, "the scope has no roles: set them before it begins");
            }
            _running = new SteeringScope(_keys, _settings, _queries);
            (_owner, _found) = (Thread.CurrentThread, null);
        }
    }

    /// <summary>Ends the scope on this thread and keeps what it found.</summary>
    public void End()
    {
        lock (_gate)
        {
            SteeringScope running = OwnRunning() ?? throw new NativeException(NativeStatus.WrongState, "the scope has not begun");
            try
            {
                _found = running.Read();
            }
            finally
            {
                Abandon(running);
            }
        }
    }

    /// <summary>What the nodes found so far, or until the scope ended.</summary>
    public IReadOnlyList<SteeredLayerScores> Read()
    {
        lock (_gate)
        {
            return OwnRunning()?.Read() ?? _found ?? throw new NativeException(NativeStatus.WrongState, "the scope has found nothing: no run followed it");
        }
    }

    /// <summary>Makes sure that no thread follows the scope any more, now and later.</summary>
    /// <exception cref="NativeException">A thread does that is not this one.</exception>
    public void Destroy()
    {
        lock (_gate)
        {
            if (_owner is { IsAlive: false })
            {
                (_running, _owner) = (null, null);
            }
            if (OwnRunning() is SteeringScope running)
            {
                Abandon(running);
            }
            _destroyed = true;
        }
    }

    private void Change(Action change)
    {
        lock (_gate)
        {
            ThrowIfRunning();
            change();
        }
    }

    /// <summary>The scope if it is set on this thread, null if on none.</summary>
    private SteeringScope? OwnRunning() =>
        _running == null || _owner == Thread.CurrentThread
            ? _running
            : throw new NativeException(NativeStatus.WrongThread, "the scope is set on another thread");

    private void ThrowIfRunning()
    {
        if (_running != null)
        {
            throw new NativeException(NativeStatus.WrongState, "the scope is set on a thread: end it first");
        }
    }

    private void Abandon(SteeringScope running)
    {
        (_running, _owner) = (null, null);
        try
        {
            running.Dispose();
        }
        catch (InvalidOperationException)
        {
            // That no node followed it; End has told, and who destroys a scope does not ask.
        }
    }
}
