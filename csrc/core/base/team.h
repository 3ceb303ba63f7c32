/* team.h: threads that run the same function side by side, and the barrier at which they meet.
 * Depends on clock.h, memory.h, status.h, libc and POSIX threads. */
#ifndef BP_TEAM_H
#define BP_TEAM_H

#include <stdatomic.h>
#include <stddef.h>

#include "status.h"

struct bp_team;

/* Runs work(team, me, context) on `threads` threads, me = 0 ... threads - 1, 0 being the caller's,
 * and returns when all have. One thread alone has team NULL. Threads live for this call only, so a
 * fork before or after it is nothing special. BP_OK, BP_NO_MEMORY or BP_NO_THREAD; work has not run
 * unless BP_OK. */
enum bp_status bp_team_run(size_t threads, void (*work)(struct bp_team *, size_t me, void *),
                           void *context);

/* A team whose size changes: of the caller, thread 0, alone, and of `most` threads at most. NULL where
 * memory is short. */
struct bp_team *bp_team_open(size_t most, void (*work)(struct bp_team *, size_t me, void *),
                             void *context);

/* Thread 0: makes threads up to `size`, which sleep until they are called. `size`, or how many there
 * are where the system refuses one. */
size_t bp_team_make(struct bp_team *, size_t size);

/* Thread 0: once all that meet now have met the next time, it is [0, size) that meet. Threads from
 * `size` on then return from their work; those that are new are to be called. */
void bp_team_plan(struct bp_team *, size_t size);

/* Thread 0: wakes threads [first, last), which have been made; they begin their work, and see what was
 * written before. */
void bp_team_call(struct bp_team *, size_t first, size_t last);

/* Once all threads have returned from their work, which they soon do. */
void bp_team_close(struct bp_team *);

/* Returns when every thread of the team has called it; at once for team NULL. What was written before it by one thread
 * is seen after it by all. */
void bp_meet(struct bp_team *);

/* The number of the next of the `count` pieces of a thread's work that nobody has taken since the last meeting, or
 * `count`. Whoever asks has it. */
size_t bp_team_take(struct bp_team *, size_t whose, size_t count);

/* Returns when *left, which another thread counts down, is at most `most`: what that wrote before is seen after. */
void bp_await_countdown(const atomic_size_t *left, size_t most);

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
