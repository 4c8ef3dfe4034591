#include "processor.h"

#include <cpuid.h>
#include <stdint.h>

/* Not __builtin_cpu_supports: it knows MOVBE and LZCNT from gcc 11 on only, and an image ends the process where an instruction that it was compiled for is missing. */

#define BIT(n) (1u << (n))

static const uint32_t base_1c = BIT(0) | BIT(9) | BIT(19) | BIT(20) | BIT(23);    /* SSE3, SSSE3, SSE4.1, SSE4.2, POPCNT */
static const uint32_t avx2_1c = BIT(12) | BIT(22) | BIT(27) | BIT(28);            /* FMA, MOVBE, OSXSAVE, AVX */
static const uint32_t avx2_7b = BIT(3) | BIT(5) | BIT(8);                         /* BMI1, AVX2, BMI2 */
static const uint32_t lzcnt = BIT(5);                                             /* of leaf 0x80000001, ecx */
static const uint32_t avx512_7b = BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31); /* F, DQ, CD, BW, VL */
static const uint64_t ymm_state = 0x06, zmm_state = 0xe6;                         /* registers that the operating system saves */

static int has(uint64_t set, uint64_t wanted)
{
    return (set & wanted) == wanted;
}

static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

enum processor_level processor_level(void)
{
    uint32_t a, b1, c1, d, b7 = 0, c7, extended = 0;
    if (!__get_cpuid(1, &a, &b1, &c1, &d) || !has(c1, base_1c)) {
        return PROCESSOR_TOO_OLD;
    }
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d) || !__get_cpuid(0x80000001, &a, &b1, &extended, &d)) {
        return PROCESSOR_BASE;
    }
    if (!has(c1, avx2_1c) || !has(b7, avx2_7b) || !has(extended, lzcnt) || !has(saved_registers(), ymm_state)) {
        return PROCESSOR_BASE;
    }
    return has(b7, avx512_7b) && has(saved_registers(), zmm_state) ? PROCESSOR_AVX512 : PROCESSOR_AVX2;
}
