/* only_baseline.c: in place of select_kernels.c where a test is built with the baseline kernels alone. */
#include "kernels/kernels.h"

extern const struct bp_kernels bp_kernels_f32_baseline, bp_kernels_f64_baseline;

const struct bp_kernels *const *
bp_kernel_candidates(enum bp_dtype dtype)
{
    static const struct bp_kernels *const tables[BP_DTYPES][2] = {
        {&bp_kernels_f32_baseline},
        {&bp_kernels_f64_baseline},
    };
    return tables[dtype];
}
