/* random.h: random numbers, and a random order. Depends on poll.h and libc. */
#ifndef BP_RANDOM_H
#define BP_RANDOM_H

#include "poll.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Where random numbers come from: 32 fresh bits a call. Others may draw from it too, but not while it is held. */
struct bp_random {
    uint32_t (*next)(void *);
    void *state;
    void (*hold)(void *, bool held); /* called around every use; NULL where the caller of all holds it */
    void *holder;
};

static inline void
bp_hold_random(const struct bp_random *random, bool held)
{
    if (random->hold)
        random->hold(random->holder, held);
}

/* order[0 ... count - 1] becomes a fresh order of 0 ... count - 1, each equally likely; false, and another order, where
 * the poll, which is asked now and then, says to stop. */
bool bp_shuffle(const struct bp_random *, size_t count, uint32_t *order, struct bp_poll);

/* Shuffles what stands in order[0 ... *unsettled - 1], the last place first, and counts *unsettled down: what stands from
 * there on stays, and may be read by others. It is 0 in the end; false where the poll says to stop. */
bool bp_settle(const struct bp_random *, uint32_t *order, atomic_size_t *unsettled, struct bp_poll);

#endif
