/* bf16.h: the tables of mixed.h, and what they have in common. Depends on isa.h and mixed.h. */
#ifndef BP_BF16_H
#define BP_BF16_H

#include "isa.h"
#include "kernels/mixed.h"

/* the compilers that know the instructions */
#if BP_X86 && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define BP_X86_BF16 1
#endif
#if BP_X86_BF16 && defined(__linux__)
#define BP_AMX 1 /* whose use Linux has to be asked for */
#endif

enum { BP_LINE = 64 }; /* bytes */

#define BP_BF16_TARGET "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma"

extern const struct bp_mixed bp_mixed_emulated;

/* What a product asks for: `each` lines at a time, as many at once would fill the buffers that loads
 * need too. `line` is the next one's place in its run. */
struct fetching {
    struct bp_ahead ahead;
    size_t line, each;
};

/* in about `times` times */
INLINE struct fetching
fetching_of(const struct bp_mixed_product *p, size_t times)
{
    return (struct fetching){p->ahead, 0, p->ahead.runs * p->ahead.lines / (times + 1) + 1};
}

INLINE void
fetch_ahead(struct fetching *f)
{
    for (size_t i = 0; i < f->each && f->ahead.runs > 0; i++) {
        FETCH_FAR(f->ahead.at + f->line * BP_LINE);
        if (++f->line < f->ahead.lines)
            continue;
        f->line = 0;
        f->ahead.at += f->ahead.stride;
        f->ahead.runs--;
    }
}

#if BP_X86_BF16
extern const struct bp_mixed bp_mixed_avx512_bf16;

/* Whether this processor has the instructions of AVX512-BF16; and whether it is one on which they
 * are faster than float32's. */
bool bp_has_avx512_bf16(void);
bool bp_is_fast_avx512_bf16(void);

/* how factors are rounded wherever there is AVX512-BF16 */
void bp_left_avx512(const struct bp_rounding *, size_t first, size_t last);
void bp_left_turned_avx512(const struct bp_rounding *);
void bp_right_avx512(const struct bp_rounding *);
void bp_right_turned_avx512(const struct bp_rounding *);
#endif

#if BP_AMX
extern const struct bp_mixed bp_mixed_amx;

/* Whether this processor and its system have AMX for bfloat16; and whether the system lets this
 * process use it, which it is asked here: once it has granted that, it holds for the process. */
bool bp_has_amx(void);
bool bp_may_use_amx(void);
#endif

#endif
