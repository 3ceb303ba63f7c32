#ifdef __linux__
#define _GNU_SOURCE /* cpu_set_t, sched_getcpu, pthread_setaffinity_np */
#include <sched.h>
#endif

#include "core.h"

#include <string.h>

#ifdef __linux__

void
bp_begin_elsewhere(pthread_t thread)
{
    const int core = sched_getcpu();
    cpu_set_t allowed, others;

    if (core < 0 || core >= CPU_SETSIZE ||
        pthread_getaffinity_np(thread, sizeof(allowed), &allowed) != 0)
        return;
    others = allowed;
    CPU_CLR((size_t)core, &others);
    if (pthread_setaffinity_np(thread, sizeof(others), &others) == 0)
        (void)pthread_setaffinity_np(thread, sizeof(allowed), &allowed);
}

static cpu_set_t
only(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    return set;
}

void
bp_stay(struct bp_stay *stay)
{
    const int core = sched_getcpu();
    cpu_set_t allowed;

    _Static_assert(sizeof(allowed) == sizeof(stay->allowed), "room for a set of cores");
    stay->core = -1;
    if (core < 0 || core >= CPU_SETSIZE || sched_getaffinity(0, sizeof(allowed), &allowed) != 0 ||
        CPU_COUNT(&allowed) < 2)
        return;
    const cpu_set_t here = only(core);
    if (sched_setaffinity(0, sizeof(here), &here) != 0)
        return;
    stay->core = core;
    memcpy(stay->allowed, &allowed, sizeof(allowed));
}

/* All cores are asked for first: the system grants those that the thread's control group has, and more when that gets
 * more. A thread that may run on fewer of them was restricted by itself. */
void
bp_may_move(const struct bp_stay *stay)
{
    cpu_set_t now, allowed;

    if (stay->core < 0)
        return;
    const cpu_set_t here = only(stay->core);
    if (sched_getaffinity(0, sizeof(now), &now) != 0 || !CPU_EQUAL(&now, &here))
        return;
    memcpy(&allowed, stay->allowed, sizeof(allowed));
    memset(&now, 0xff, sizeof(now));
    (void)sched_setaffinity(0, sizeof(now), &now);
    if (sched_getaffinity(0, sizeof(now), &now) != 0 || !CPU_EQUAL(&now, &allowed))
        (void)sched_setaffinity(0, sizeof(allowed), &allowed);
}

#else

void
bp_begin_elsewhere(pthread_t thread)
{
    (void)thread;
}

void
bp_stay(struct bp_stay *stay)
{
    stay->core = -1;
}

void
bp_may_move(const struct bp_stay *stay)
{
    (void)stay;
}

#endif
