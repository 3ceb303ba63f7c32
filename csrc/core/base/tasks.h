/* tasks.h: many tasks that do not wait for each other, divided among threads.
 * Depends on team.h, poll.h and status.h. */
#ifndef BP_TASKS_H
#define BP_TASKS_H

#include <stddef.h>

#include "poll.h"
#include "status.h"

struct bp_tasks {
    size_t count, threads;
    /* Task number i, on thread `me`, which may ask `poll` whether to stop: on the caller's thread that
     * is the caller's poll, on others whether that one has asked to stop. A status other than BP_OK
     * ends the work. */
    enum bp_status (*task)(void *context, size_t me, size_t i, struct bp_poll poll);
    void *context;
    struct bp_poll poll;
};

/* Does them in any order, each once, and returns when none is being done any more. BP_OK, or why not
 * all were done: what the first task to fail returned, BP_INTERRUPTED, or BP_NO_MEMORY or
 * BP_NO_THREAD before the first. */
enum bp_status bp_do_tasks(const struct bp_tasks *);

#endif
