using System.Runtime.InteropServices;
using AttentionKernels.Cuda;
using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// Memory of the host and its image in device memory, each between margins of NaN bits. Made and used with the context current. A kernel that reads outside gets NaN into its results; one that writes
/// outside, or into what it may only read, is found by <see cref="Download"/>.
/// </summary>
internal sealed unsafe class DeviceMirror(DriverTarget target, WorkStream* stream) : IDisposable
{
    private const int Margin = 256;
    private const byte Canary = 0xff;

    // To a tool that looks for reads of memory without values, memory that was filled has values.
    private static readonly bool FillsScratch = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("ATTNK_TEST_UNFILLED"));

    private readonly List<Part> _parts = [];

    /// <summary>Device memory for a range of the host's; the same range again adds the right to write it.</summary>
    /// <param name="name">Name in messages.</param>
    /// <param name="start">First byte.</param>
    /// <param name="bytes">Length, at least 1.</param>
    /// <param name="writable">Whether kernels may write it.</param>
    public void Add(string name, void* start, long bytes, bool writable)
    {
        Part? same = _parts.Find(part => part.Host == (nint)start && part.Bytes == bytes);
        if (same != null)
        {
            same.Writable |= writable;
            return;
        }
        _parts.Add(new Part { Name = name, Host = (nint)start, Bytes = bytes, Writable = writable, Device = Allocate(bytes, fill: false) });
    }

    /// <summary>Device memory without an image on the host, full of NaN bits unless ATTNK_TEST_UNFILLED is set.</summary>
    public void* AddScratch(long bytes)
    {
        Part part = new() { Name = "scratch", Bytes = bytes, Writable = true, Device = Allocate(bytes, FillsScratch) };
        _parts.Add(part);
        return (void*)(part.Device + Margin);
    }

    /// <summary>The device address of a host address; null of null.</summary>
    /// <exception cref="InvalidOperationException">The address is in no range.</exception>
    public void* Translate(void* host) => host == null ? null
        : Find((nint)host) is { } part ? (void*)(part.Device + Margin + (ulong)((nint)host - part.Host))
        : throw new InvalidOperationException($"address 0x{(nint)host:x} is in no memory of the call");

    /// <summary>A tensor on the device.</summary>
    public TensorView Translate(TensorView view) => view.IsEmpty ? view : new TensorView(Translate(view.Data), view.Type, view.BatchStride, view.HeadStride, view.RowStride);

    /// <summary>Puts copies of everything to the device into the stream. The margins stay as they are.</summary>
    public void Upload()
    {
        foreach (Part part in _parts)
        {
            if (part.Host != 0)
            {
                target.Context.Driver.Upload((long)part.Device + Margin, (void*)part.Host, (nuint)part.Bytes, stream);
            }
        }
    }

    /// <summary>Waits for the stream, brings what kernels may write back, and looks at what they must not.</summary>
    public void Download(string repro)
    {
        target.Api.Synchronize(stream);
        foreach (Part part in _parts)
        {
            // Scratch is not brought back: its margins alone.
            long inside = part.Host == 0 ? 0 : part.Bytes;
            byte* image = (byte*)NativeMemory.Alloc((nuint)(inside + (2 * Margin)));
            try
            {
                target.Context.Driver.Download(image, (long)part.Device, (nuint)(Margin + inside), stream);
                target.Context.Driver.Download(image + Margin + inside, (long)part.Device + Margin + part.Bytes, Margin, stream);
                target.Api.Synchronize(stream);
                bool intact = new ReadOnlySpan<byte>(image, Margin).IndexOfAnyExcept(Canary) < 0 && new ReadOnlySpan<byte>(image + Margin + inside, Margin).IndexOfAnyExcept(Canary) < 0;
                Assert.True(intact, $"device memory around {part.Name} was overwritten; {repro}");
                Span<byte> host = new((void*)part.Host, checked((int)inside)), device = new(image + Margin, (int)inside);
                if (part.Writable)
                {
                    device.CopyTo(host);
                }
                else
                {
                    Assert.True(device.SequenceEqual(host), $"{part.Name} is only to be read and was overwritten on the device; {repro}");
                }
            }
            finally
            {
                NativeMemory.Free(image);
            }
        }
    }

    public void Dispose() => _parts.ForEach(part => target.Api.Free(part.Device));

    private Part? Find(nint host) => _parts.Find(part => host >= part.Host && host < part.Host + part.Bytes);

    private ulong Allocate(long bytes, bool fill)
    {
        ulong address = target.Api.Allocate(bytes + (2 * Margin));
        target.Api.Fill(address, Canary, fill ? bytes + (2 * Margin) : Margin, stream);
        target.Api.Fill(address + Margin + (ulong)bytes, Canary, Margin, stream);
        return address;
    }

    private sealed class Part
    {
        public required string Name { get; init; }

        /// <summary>0: none.</summary>
        public nint Host { get; init; }

        public required long Bytes { get; init; }

        public required bool Writable { get; set; }

        /// <summary>Where the first margin starts.</summary>
        public required ulong Device { get; init; }
    }
}
