/* sizes.h: the smaller and the larger of two sizes, and a quotient rounded up. Depends on libc only. */
#ifndef BP_SIZES_H
#define BP_SIZES_H

#include <stddef.h>

static inline size_t
bp_smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t
bp_larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* a / b, rounded up */
static inline size_t
bp_quotient_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

#endif
