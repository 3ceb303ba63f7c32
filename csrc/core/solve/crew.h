/* crew.h: a team of which thread 0 leads, and the others do their share of what it orders.
 * Depends on base/team.h. */
#ifndef BP_CREW_H
#define BP_CREW_H

#include "core/base/team.h"

struct bp_crew {
    struct bp_team *team;
    size_t threads;
    void (*order)(void *context, size_t me); /* NULL ends them */
    void *context;
};

/* Thread 0: has every thread call order(context, me), and returns when all have. */
static inline void
bp_crew_do(struct bp_crew *crew, void (*order)(void *, size_t), void *context)
{
    crew->order = order;
    crew->context = context;
    bp_meet(crew->team);
    if (order)
        order(context, 0);
    bp_meet(crew->team);
}

/* The other threads: until they are sent home by an order of NULL. */
static inline void
bp_crew_follow(const struct bp_crew *crew, struct bp_team *team, size_t me)
{
    for (;;) {
        bp_meet(team);
        if (!crew->order)
            break;
        crew->order(crew->context, me);
        bp_meet(team);
    }
    bp_meet(team);
}

#endif
