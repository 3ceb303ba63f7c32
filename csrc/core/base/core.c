#ifdef __linux__
#define _GNU_SOURCE
#include <sched.h>
#endif

#include "core.h"

int
bp_core_now(void)
{
#ifdef __linux__
    return sched_getcpu();
#else
    return -1;
#endif
}

void
bp_leave_core(int core)
{
#ifdef __linux__
    cpu_set_t allowed, others;

    if (core < 0 || core >= CPU_SETSIZE || sched_getcpu() != core ||
        sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2)
        return;
    others = allowed;
    CPU_CLR((size_t)core, &others);
    if (sched_setaffinity(0, sizeof(others), &others) == 0)
        (void)sched_setaffinity(0, sizeof(allowed), &allowed);
#else
    (void)core;
#endif
}
