/* clock.h: a clock that nobody sets. Depends on libc only. */
#ifndef BP_CLOCK_H
#define BP_CLOCK_H

#include <stdint.h>

/* Since some moment that stays the same while the process runs. */
uint64_t bp_nanoseconds_now(void);

static inline double
bp_seconds_now(void)
{
    return 1e-9 * (double)bp_nanoseconds_now();
}

#endif
