using AttentionKernels.Cuda;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The code that drives a real device, over the stub with the emulator behind it: what it copies, translates and checks.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class DriverDeviceTests(StubDriver stub)
{
    [Fact]
    public void A_Call_Over_Copies_Has_The_Bits_Of_One_In_Place() => Properties.ForAll(16, spec =>
    {
        using AttentionCase c = new(spec, nameof(A_Call_Over_Copies_Has_The_Bits_Of_One_In_Place));
        using (EmulatedDevice emulated = new(stub))
        {
            emulated.Run(c);
        }
        (float[] output, float[] scores, float[] alignment) = (c.Output(), c.HeadScores(), c.Alignment());
        c.ClearResults();
        using (DriverDevice driver = new(DriverTarget.Open(stub)))
        {
            driver.Run(c);
        }
        stub.Reset();
        Assert.Equal(output, c.Output());
        Assert.Equal(scores, c.HeadScores());
        Assert.Equal(alignment, c.Alignment());
    }, 0xd41, spec => spec with
    {
        B = Math.Min(spec.B, 2),
        Kv = 1,
        Group = Math.Min(spec.Group, 2),
        S = Math.Min(spec.S, Math.Min(spec.T, 70)),
        T = Math.Min(spec.T, 70),
        Type = (ElementType)(spec.Seed % 3),
        D = spec.Seed % 2 == 0 ? 64 : spec.D,
        Dv = spec.Seed % 2 == 0 ? 64 : spec.Dv,
    });

    [Fact]
    public void What_Kernels_Must_Not_Write_Is_Looked_At()
    {
        DriverTarget target = DriverTarget.Open(stub);
        using DriverDevice device = new(target);
        using CudaContext.Use use = target.Context.Enter();
        using GuardedBuffer input = GuardedBuffer.Of<int>([1, 2, 3]), result = new(12);
        foreach ((string expected, GuardedBuffer buffer, int at) in new[]
        {
            ("device memory around query was overwritten; again", input, -1), ("device memory around query was overwritten; again", input, 12),
            ("query is only to be read and was overwritten on the device; again", input, 8), ("device memory around output was overwritten; again", result, 12),
        })
        {
            using DeviceMirror mirror = new(target, device.Stream);
            mirror.Add("query", input.Data, input.Bytes, writable: false);
            mirror.Add("output", result.Data, result.Bytes, writable: true);
            mirror.Upload();
            mirror.Download("first");
            ulong address = (ulong)mirror.Translate(buffer.Data) + (ulong)at;
            target.Api.Fill(address, 7, 1, device.Stream);
            Assert.Contains(expected, Assert.ThrowsAny<Exception>(() => mirror.Download("again")).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Scratch_Has_Margins_And_No_Values()
    {
        DriverTarget target = DriverTarget.Open(stub);
        using DriverDevice device = new(target);
        using CudaContext.Use use = target.Context.Enter();
        using DeviceMirror mirror = new(target, device.Stream);
        byte* scratch = (byte*)mirror.AddScratch(100);
        Assert.True(float.IsNaN(*(float*)scratch));
        target.Api.Fill((ulong)scratch, 0, 100, device.Stream);
        mirror.Download("first");
        target.Api.Fill((ulong)scratch + 100, 0, 1, device.Stream);
        Assert.Contains("around scratch", Assert.ThrowsAny<Exception>(() => mirror.Download("again")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Results_Come_Back_And_Addresses_Inside_A_Range_Are_Translated()
    {
        DriverTarget target = DriverTarget.Open(stub);
        using DriverDevice device = new(target);
        using CudaContext.Use use = target.Context.Enter();
        using GuardedBuffer buffer = GuardedBuffer.Of<int>([1, 2, 3]);
        using DeviceMirror mirror = new(target, device.Stream);
        mirror.Add("buffer", buffer.Data, buffer.Bytes, writable: true);
        mirror.Upload();
        int* second = (int*)mirror.Translate((int*)buffer.Data + 1);
        Assert.True(second != (int*)buffer.Data + 1);
        Assert.Equal(2, *second);
        *second = 9;
        mirror.Download("here");
        Assert.Equal([1, 9, 3], buffer.Span<int>().ToArray());
        Assert.True(mirror.Translate((void*)null) == null);
        nint outside = (nint)buffer.Data + 12;
        Assert.Contains("is in no memory of the call", Assert.Throws<InvalidOperationException>(() => mirror.Translate((void*)outside)).Message, StringComparison.Ordinal);
    }
}
