#include "team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "clock.h"
#include "memory.h"

/* Looks this often whether the others have come before it sleeps: tens of microseconds, or a few
 * hundred where a pause is long, about the length of the phases between two barriers when training is
 * worth threads at all. To be woken takes as long. A wait of fewer than SHORT looks is not counted. */
enum { LOOKS = 4000, SHORT = 100 };

struct bp_team {
    size_t size;
    atomic_size_t arrived;
    atomic_uint round; /* of the barrier; grows by one when all have arrived */
    atomic_uint sleepers;
    atomic_uint_fast64_t waited; /* nanoseconds */
    pthread_mutex_t lock;
    pthread_cond_t next_round;
    void (*work)(struct bp_team *, size_t me, void *);
    void *context;
    enum { WAITING, STARTED, CANCELLED } state; /* guarded by lock */
};

struct member {
    struct bp_team *team;
    size_t me;
    pthread_t thread;
};

static inline void
pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Whether that round of the barrier ends while it looks `looks` times. */
static bool
ends_soon(const struct bp_team *team, unsigned round, int looks)
{
    for (int i = 0; i < looks; i++) {
        if (atomic_load_explicit(&team->round, memory_order_acquire) != round)
            return true;
        pause_briefly();
    }
    return false;
}

void
bp_meet(struct bp_team *team)
{
    if (!team)
        return;
    const unsigned round = atomic_load_explicit(&team->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == team->size) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        /* sequentially consistent, like the sleeper's steps: one of the two sees the other */
        atomic_store(&team->round, round + 1);
        if (atomic_load(&team->sleepers) != 0) {
            pthread_mutex_lock(&team->lock);
            pthread_cond_broadcast(&team->next_round);
            pthread_mutex_unlock(&team->lock);
        }
        return;
    }
    if (ends_soon(team, round, SHORT))
        return;
    const uint64_t begun = bp_nanoseconds_now();
    if (!ends_soon(team, round, LOOKS)) {
        atomic_fetch_add(&team->sleepers, 1);
        pthread_mutex_lock(&team->lock);
        while (atomic_load(&team->round) == round)
            pthread_cond_wait(&team->next_round, &team->lock);
        pthread_mutex_unlock(&team->lock);
        atomic_fetch_sub(&team->sleepers, 1);
    }
    atomic_fetch_add_explicit(&team->waited, bp_nanoseconds_now() - begun, memory_order_relaxed);
}

double
bp_waited(const struct bp_team *team)
{
    return team ? 1e-9 * (double)atomic_load_explicit(&team->waited, memory_order_relaxed) : 0;
}

static void *
run_member(void *argument)
{
    struct member *member = argument;
    struct bp_team *team = member->team;

    pthread_mutex_lock(&team->lock);
    while (team->state == WAITING)
        pthread_cond_wait(&team->next_round, &team->lock);
    const bool started = team->state == STARTED;
    pthread_mutex_unlock(&team->lock);
    if (started)
        team->work(team, member->me, team->context);
    return NULL;
}

enum bp_status
bp_team_run(size_t threads, void (*work)(struct bp_team *, size_t me, void *), void *context)
{
    struct bp_team team = {.size = threads, .work = work, .context = context};
    if (threads == 1) {
        work(NULL, 0, context);
        return BP_OK;
    }

    struct member *members = bp_allocate(threads, sizeof(*members));
    if (!members)
        return BP_NO_MEMORY;
    pthread_mutex_init(&team.lock, NULL);
    pthread_cond_init(&team.next_round, NULL);

    size_t made = 1;
    for (; made < threads; made++) {
        members[made] = (struct member){.team = &team, .me = made};
        if (!bp_granted() ||
            pthread_create(&members[made].thread, NULL, run_member, &members[made]) != 0)
            break;
    }
    /* all or none: a barrier for `threads` would wait for ever for one that is missing */
    const bool complete = made == threads;
    pthread_mutex_lock(&team.lock);
    team.state = complete ? STARTED : CANCELLED;
    pthread_cond_broadcast(&team.next_round);
    pthread_mutex_unlock(&team.lock);
    if (complete)
        work(&team, 0, context);
    for (size_t i = 1; i < made; i++)
        pthread_join(members[i].thread, NULL);

    pthread_cond_destroy(&team.next_round);
    pthread_mutex_destroy(&team.lock);
    bp_free(members);
    return complete ? BP_OK : BP_NO_THREAD;
}
