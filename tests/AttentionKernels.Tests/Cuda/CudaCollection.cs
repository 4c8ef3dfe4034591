namespace AttentionKernels.Tests.Cuda;

/// <summary>The tests that share the stub of the CUDA driver, whose log is one for the process.</summary>
[CollectionDefinition(Name)]
public sealed class CudaCollection : ICollectionFixture<StubDriver>
{
    public const string Name = "cuda";
}
