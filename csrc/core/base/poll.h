/* poll.h: how a caller is asked whether to stop. Depends on clock.h. */
#ifndef BP_POLL_H
#define BP_POLL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "clock.h"

/* Called on the caller's thread every few milliseconds; true asks to stop. NULL: never. */
struct bp_poll {
    bool (*ask)(void *context);
    void *context;
};

/* A poll of a call on the caller's thread alone, and what came of it. */
struct bp_watch {
    struct bp_poll poll;
    double asked; /* when it was last */
    bool stopped;
};

/* Work of a team that is given up on its way where the caller asks for it: what is done of it is then of no use. */
struct bp_halt {
    struct bp_poll poll;
    atomic_bool halted;
};

/* Whether it is given up; with `asks`, on the caller's thread, the caller is asked. */
static inline bool
bp_halts(struct bp_halt *halt, bool asks)
{
    if (asks && halt->poll.ask(halt->poll.context))
        atomic_store_explicit(&halt->halted, true, memory_order_relaxed);
    return atomic_load_explicit(&halt->halted, memory_order_relaxed);
}

/* Whether to stop; asks a hundred times a second at most. */
static inline bool
bp_watch_stops(struct bp_watch *watch)
{
    if (!watch)
        return false;
    if (watch->stopped)
        return true;
    const double now = bp_seconds_now();
    if (now - watch->asked < 0.01)
        return false;
    watch->asked = now;
    watch->stopped = watch->poll.ask(watch->poll.context);
    return watch->stopped;
}

#endif
