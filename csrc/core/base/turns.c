#include "turns.h"

#include <errno.h>
#include <time.h>

#include "core.h"

void
bp_open_turns(struct bp_turns *turns)
{
    pthread_mutex_init(&turns->lock, NULL);
    pthread_cond_init(&turns->changed, NULL);
    turns->turn = 0;
}

void
bp_close_turns(struct bp_turns *turns)
{
    pthread_cond_destroy(&turns->changed);
    pthread_mutex_destroy(&turns->lock);
}

bool
bp_wait_briefly(pthread_cond_t *changed, pthread_mutex_t *lock)
{
    enum { NANOSECONDS = 10000000, SECOND = 1000000000 };
    struct timespec until;

    (void)timespec_get(&until, TIME_UTC);
    until.tv_nsec += NANOSECONDS;
    until.tv_sec += until.tv_nsec / SECOND;
    until.tv_nsec %= SECOND;
    return pthread_cond_timedwait(changed, lock, &until) == ETIMEDOUT;
}

bool
bp_await_turn(struct bp_turns *turns, size_t number, struct bp_poll poll)
{
    struct bp_stay stay;
    bool going = true;

    pthread_mutex_lock(&turns->lock);
    const bool waits = turns->turn != number;
    if (waits)
        bp_stay(&stay);
    while (going && turns->turn != number) {
        if (!bp_wait_briefly(&turns->changed, &turns->lock))
            continue;
        pthread_mutex_unlock(&turns->lock);
        going = !poll.ask(poll.context);
        pthread_mutex_lock(&turns->lock);
    }
    pthread_mutex_unlock(&turns->lock);
    if (waits)
        bp_may_move(&stay);
    return going;
}

void
bp_next_turn(struct bp_turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->turn++;
    pthread_cond_broadcast(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}
