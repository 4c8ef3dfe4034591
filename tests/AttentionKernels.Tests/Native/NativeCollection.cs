namespace AttentionKernels.Tests.Native;

/// <summary>The tests that share one build of the native library.</summary>
[CollectionDefinition(Name)]
public sealed class NativeCollection : ICollectionFixture<NativeBuild>
{
    public const string Name = "native";
}
