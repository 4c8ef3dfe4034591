namespace AttentionKernels.Bench.Device;

/// <summary>PyTorch's way to compute a case, in its own process, over random tensors of the same shapes.</summary>
internal sealed class TorchSide(string name, TorchPeer peer, DeviceCase c, DeviceTensors tensors) : DeviceSide(name)
{
    private int _generation;

    /// <inheritdoc/>
    public override bool IsOwn => false;

    /// <inheritdoc/>
    public override double Prepare(CancellationToken cancellation)
    {
        (string backend, double error, double host) = peer.Prepare(c, tensors, Name, cancellation);
        (Backend, HostMicroseconds, _generation) = (backend, host, peer.Generation);
        return error;
    }

    /// <inheritdoc/>
    public override double Time(int calls, CancellationToken cancellation)
    {
        // Another side may have ended the process that had this one ready.
        if (_generation != peer.Generation)
        {
            Prepare(cancellation);
        }
        return peer.Time(Name, calls, cancellation);
    }
}
