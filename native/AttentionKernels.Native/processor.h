/* What the processor and the operating system offer, in the steps for which the library holds images. */
#ifndef ATTENTION_KERNELS_PROCESSOR_H
#define ATTENTION_KERNELS_PROCESSOR_H

enum processor_level {
    PROCESSOR_TOO_OLD,
    PROCESSOR_BASE,   /* x86-64-v2: SSE4.2, POPCNT */
    PROCESSOR_AVX2,   /* x86-64-v3: and AVX2, BMI1, BMI2, FMA, LZCNT, MOVBE */
    PROCESSOR_AVX512  /* x86-64-v4: and AVX-512 F, BW, CD, DQ, VL */
};

/* The highest level of which nothing is missing. */
enum processor_level processor_level(void);

#endif
