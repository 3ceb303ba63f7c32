#include "team.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "clock.h"
#include "core.h"
#include "memory.h"

/* Looks this often whether the others have come before it sleeps: tens of microseconds, or a few
 * hundred where a pause is long, about the length of the phases between two barriers when training is
 * worth threads at all. To be woken takes as long. A wait of fewer than SHORT looks is not counted. */
enum { LOOKS = 4000, SHORT = 100 };

struct member {
    struct bp_team *team;
    size_t me;
    pthread_t thread;
    bool called; /* guarded by the team's lock */
    /* a round of the barrier, and how many pieces of this member's work in it were taken; alone in its cache line */
    _Alignas(64) atomic_uint_fast64_t taken;
};

struct bp_team {
    atomic_size_t size; /* of the barrier */
    size_t next_size;   /* after the next meeting; thread 0 writes it before it comes there */
    atomic_size_t arrived;
    atomic_uint round; /* of the barrier; grows by one when all have arrived */
    atomic_uint sleepers;
    atomic_uint_fast64_t waited; /* nanoseconds */
    pthread_mutex_t lock;
    pthread_cond_t next_round;
    pthread_cond_t calls;
    void (*work)(struct bp_team *, size_t me, void *);
    void *context;
    bool over; /* guarded by lock */
    size_t made;
    struct member *members;
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
    /* before it arrives: as soon as it has, the last one may change the size */
    const size_t size = atomic_load_explicit(&team->size, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == size) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team->size, team->next_size, memory_order_relaxed);
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
        struct bp_stay stay;
        bp_stay(&stay);
        atomic_fetch_add(&team->sleepers, 1);
        pthread_mutex_lock(&team->lock);
        while (atomic_load(&team->round) == round)
            pthread_cond_wait(&team->next_round, &team->lock);
        pthread_mutex_unlock(&team->lock);
        atomic_fetch_sub(&team->sleepers, 1);
        bp_may_move(&stay);
    }
    atomic_fetch_add_explicit(&team->waited, bp_nanoseconds_now() - begun, memory_order_relaxed);
}

size_t
bp_team_take(struct bp_team *team, size_t whose, size_t count)
{
    const unsigned round = atomic_load_explicit(&team->round, memory_order_relaxed);
    const uint_fast64_t now = (uint_fast64_t)round << 32;
    atomic_uint_fast64_t *taken = &team->members[whose].taken;
    uint_fast64_t seen = atomic_load_explicit(taken, memory_order_relaxed);

    for (;;) {
        const uint_fast64_t begun = seen >> 32 == now >> 32 ? seen : now; /* of an earlier round: nothing yet */
        if ((size_t)(begun - now) >= count)
            return count;
        if (atomic_compare_exchange_weak_explicit(taken, &seen, begun + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return (size_t)(begun - now);
    }
}

void
bp_await_countdown(const atomic_size_t *left, size_t most)
{
    for (unsigned looks = 1; atomic_load_explicit(left, memory_order_acquire) > most; looks++) {
        pause_briefly();
        if (looks % LOOKS == 0)
            sched_yield(); /* the other perhaps has no core */
    }
}

double
bp_waited(const struct bp_team *team)
{
    return team ? 1e-9 * (double)atomic_load_explicit(&team->waited, memory_order_relaxed) : 0;
}

/* Sleeps until it is called, works, and sleeps again. */
static void *
run_member(void *argument)
{
    struct member *member = argument;
    struct bp_team *team = member->team;

    for (;;) {
        struct bp_stay stay;
        bp_stay(&stay);
        pthread_mutex_lock(&team->lock);
        while (!member->called && !team->over)
            pthread_cond_wait(&team->calls, &team->lock);
        const bool called = member->called;
        member->called = false;
        pthread_mutex_unlock(&team->lock);
        bp_may_move(&stay);
        if (!called)
            return NULL;
        team->work(team, member->me, team->context);
    }
}

struct bp_team *
bp_team_open(size_t most, void (*work)(struct bp_team *, size_t me, void *), void *context)
{
    struct bp_team *team = bp_allocate(1, sizeof(*team));
    struct member *members = bp_allocate(most, sizeof(*members));
    if (!team || !members) {
        bp_free(members);
        bp_free(team);
        return NULL;
    }
    *team = (struct bp_team){
        .size = 1, .next_size = 1, .work = work, .context = context, .made = 1, .members = members};
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->next_round, NULL);
    pthread_cond_init(&team->calls, NULL);
    return team;
}

size_t
bp_team_make(struct bp_team *team, size_t size)
{
    for (; team->made < size; team->made++) {
        struct member *member = &team->members[team->made];
        *member = (struct member){.team = team, .me = team->made};
        if (!bp_granted() || pthread_create(&member->thread, NULL, run_member, member) != 0)
            return team->made;
        bp_begin_elsewhere(member->thread);
    }
    return size;
}

void
bp_team_plan(struct bp_team *team, size_t size)
{
    team->next_size = size;
}

void
bp_team_call(struct bp_team *team, size_t first, size_t last)
{
    pthread_mutex_lock(&team->lock);
    for (size_t i = first; i < last; i++)
        team->members[i].called = true;
    pthread_cond_broadcast(&team->calls);
    pthread_mutex_unlock(&team->lock);
}

void
bp_team_close(struct bp_team *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->over = true;
    pthread_cond_broadcast(&team->calls);
    pthread_mutex_unlock(&team->lock);
    for (size_t i = 1; i < team->made; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_cond_destroy(&team->calls);
    pthread_cond_destroy(&team->next_round);
    pthread_mutex_destroy(&team->lock);
    bp_free(team->members);
    bp_free(team);
}

enum bp_status
bp_team_run(size_t threads, void (*work)(struct bp_team *, size_t me, void *), void *context)
{
    if (threads == 1) {
        work(NULL, 0, context);
        return BP_OK;
    }
    struct bp_team *team = bp_team_open(threads, work, context);
    if (!team)
        return BP_NO_MEMORY;
    /* all or none: a barrier for `threads` would wait for ever for one that is missing */
    const bool complete = bp_team_make(team, threads) == threads;
    if (complete) {
        bp_team_plan(team, threads);
        bp_meet(team); /* of the caller alone */
        bp_team_call(team, 1, threads);
        work(team, 0, context);
    }
    bp_team_close(team);
    return complete ? BP_OK : BP_NO_THREAD;
}
