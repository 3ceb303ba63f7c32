/* The team of core/base/team.h where there are no threads: only the caller's. Takes the place of core/base/team.c in the
 * WebAssembly. Depends on team.h. */
#include "core/base/team.h"

enum bp_status
bp_team_run(size_t threads, void (*work)(struct bp_team *, size_t me, void *), void *context)
{
    if (threads != 1)
        return BP_NO_THREAD;
    work(NULL, 0, context);
    return BP_OK;
}

void
bp_meet(struct bp_team *team)
{
    (void)team;
}

size_t
bp_team_take(struct bp_team *team, size_t whose, size_t count)
{
    (void)team;
    (void)whose;
    return count;
}

void
bp_await_countdown(const atomic_size_t *left, size_t most)
{
    (void)left;
    (void)most;
}

double
bp_waited(const struct bp_team *team)
{
    (void)team;
    return 0;
}

struct bp_team *
bp_team_open(size_t most, void (*work)(struct bp_team *, size_t me, void *), void *context)
{
    (void)most;
    (void)work;
    (void)context;
    return NULL;
}

size_t
bp_team_make(struct bp_team *team, size_t size)
{
    (void)team;
    (void)size;
    return 1;
}

void
bp_team_plan(struct bp_team *team, size_t size)
{
    (void)team;
    (void)size;
}

void
bp_team_call(struct bp_team *team, size_t first, size_t last)
{
    (void)team;
    (void)first;
    (void)last;
}

void
bp_team_close(struct bp_team *team)
{
    (void)team;
}
