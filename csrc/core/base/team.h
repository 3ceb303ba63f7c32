/* team.h: threads that run the same function side by side, and the barrier at which they meet.
 * Depends on clock.h, memory.h, status.h, libc and POSIX threads. */
#ifndef BP_TEAM_H
#define BP_TEAM_H

#include <stddef.h>

#include "status.h"

struct bp_team;

/* Runs work(team, me, context) on `threads` threads, me = 0 ... threads - 1, 0 being the caller's,
 * and returns when all have. One thread alone has team NULL. Threads live for this call only, so a
 * fork before or after it is nothing special. BP_OK, BP_NO_MEMORY or BP_NO_THREAD; work has not run unless BP_OK. */
enum bp_status bp_team_run(size_t threads, void (*work)(struct bp_team *, size_t me, void *),
                           void *context);

/* Returns when every thread of the team has called it; at once for team NULL. What was written before it by one thread
 * is seen after it by all. */
void bp_meet(struct bp_team *);

/* Seconds that threads have spent in bp_meet so far, all of them together; short waits are left out.
 * 0 for team NULL. */
double bp_waited(const struct bp_team *);

/* The share [*first, *last) of `me` when `count` things are divided among `parts`. */
static inline void
bp_share(size_t count, size_t parts, size_t me, size_t *first, size_t *last)
{
    if (parts == 1) { /* no division, which is a part of the time of the smallest networks */
        *first = 0;
        *last = count;
        return;
    }
    const size_t each = count / parts, more = count % parts;
    *first = me * each + (me < more ? me : more);
    *last = *first + each + (me < more);
}

#endif
