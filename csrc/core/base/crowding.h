/* crowding.h: whether this thread waits for a core that other threads hold, as Linux reports (schedstat in
 * its Documentation/scheduler/sched-stats.rst); elsewhere no core is ever crowded.
 * Depends on libc and POSIX only. */
#ifndef BP_CROWDING_H
#define BP_CROWDING_H

#include <stdbool.h>

/* The part of its time, of late, in which the calling thread was ready to run and did not: 0 on a core
 * of its own, 0.5 where two share one. Time in which it slept counts for nothing. A call takes a few
 * microseconds, and looks at what has been since this thread's last one. */
double bp_crowding(void);

/* Whether others want its core. */
static inline bool
bp_is_crowded(void)
{
    return bp_crowding() > 0.2;
}

#endif
