/* select_kernels.c: which tables this processor uses. Depends on kernels.h, mixed.h and libc. */
#include "isa/bf16.h"

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

/* bfloat16 on this processor; NULL with *why_not */
static const struct bp_mixed *
select_bfloat16(const char **why_not)
{
#if BP_AMX
    if (bp_has_amx()) {
        *why_not = "this processor has AMX, but the system refuses to let this process use it";
        return bp_may_use_amx() ? &bp_mixed_amx : NULL;
    }
#endif
#if BP_X86_BF16
    if (bp_has_avx512_bf16()) {
        *why_not = "this processor has AVX512-BF16, which is slower than float32 on it, and no AMX "
                   "that its system allows";
        return bp_is_fast_avx512_bf16() ? &bp_mixed_avx512_bf16 : NULL;
    }
#endif
    *why_not = "this processor has neither AMX nor AVX512-BF16";
    return NULL;
}

const struct bp_mixed *
bp_select_mixed(const struct bp_kernels *kernels, enum bp_precision precision, const char **why_not)
{
    switch (precision) {
    case BP_AS_NETWORK:
        return NULL;
    case BP_BFLOAT16_EMULATED:
        return &bp_mixed_emulated;
    case BP_BFLOAT16:
        break;
    }
    if (strcmp(kernels->isa, bp_kernel_candidates(kernels->dtype)[0]->isa) == 0)
        return select_bfloat16(why_not);
    *why_not = "BACKPROP_ISA asks for other instructions than the best";
    return NULL;
}
