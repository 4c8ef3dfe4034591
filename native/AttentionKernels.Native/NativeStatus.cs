namespace AttentionKernels.Native;

/// <summary>What a call of the C interface came to; attention_kernels.h documents the values.</summary>
internal enum NativeStatus
{
    Ok = 0,
    InvalidArgument = 1,
    InvalidHandle = 2,
    WrongThread = 3,
    WrongState = 4,
    Failed = 6, // 5 comes from entry.c
}
