/* turns.h: what threads do in the order of numbers that they hold: 0, 1, 2 and so on.
 * Depends on poll.h and POSIX threads. */
#ifndef BP_TURNS_H
#define BP_TURNS_H

#include <pthread.h>
#include <stddef.h>

#include "poll.h"

struct bp_turns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t turn; /* guarded by lock */
};

void bp_open_turns(struct bp_turns *);
void bp_close_turns(struct bp_turns *);

/* Returns when it is the turn of `number`, or, with false, when `poll` says that there is no more to do. */
bool bp_await_turn(struct bp_turns *, size_t number, struct bp_poll poll);

/* Whoever has the turn gives it to the next number. */
void bp_next_turn(struct bp_turns *);

/* Until `changed` is signalled, or 10 ms have passed; true in that case. The caller holds `lock`. */
bool bp_wait_briefly(pthread_cond_t *changed, pthread_mutex_t *lock);

#endif
