/* select_kernels.c: which table this processor uses. Depends on kernels.h and libc. */
#include "isa/isa.h"

#define TABLES(isa) extern const struct bp_kernels bp_kernels_f32_##isa, bp_kernels_f64_##isa;
TABLES(baseline)
#if BP_X86
TABLES(avx2)
TABLES(avx512)
#elif BP_ARM
TABLES(neon)
#endif

const struct bp_kernels *const *
bp_kernel_candidates(enum bp_dtype dtype)
{
#if BP_X86
    static const struct bp_kernels *const best_first[BP_DTYPES][4] = {
        {&bp_kernels_f32_avx512, &bp_kernels_f32_avx2, &bp_kernels_f32_baseline},
        {&bp_kernels_f64_avx512, &bp_kernels_f64_avx2, &bp_kernels_f64_baseline},
    };
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl");
    return best_first[dtype] + (avx512 ? 0 : avx2 ? 1 : 2);
#elif BP_ARM
    static const struct bp_kernels *const best_first[BP_DTYPES][3] = {
        {&bp_kernels_f32_neon, &bp_kernels_f32_baseline},
        {&bp_kernels_f64_neon, &bp_kernels_f64_baseline},
    };
    return best_first[dtype];
#else
    static const struct bp_kernels *const best_first[BP_DTYPES][2] = {
        {&bp_kernels_f32_baseline},
        {&bp_kernels_f64_baseline},
    };
    return best_first[dtype];
#endif
}

const struct bp_kernels *
bp_select_kernels(enum bp_dtype dtype, const char *isa)
{
    const struct bp_kernels *const *candidate = bp_kernel_candidates(dtype);
    while (*candidate && isa && strcmp((*candidate)->isa, isa) != 0)
        candidate++;
    return *candidate;
}
