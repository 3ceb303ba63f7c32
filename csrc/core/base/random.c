#include "random.h"

/* 0 ... below - 1, each equally likely: Lemire, "Fast random integer generation in an interval" */
static uint32_t
random_below(const struct bp_random *random, uint32_t below)
{
    uint64_t product = (uint64_t)random->next(random->state) * below;
    if ((uint32_t)product < below) {
        const uint32_t excess = -below % below;
        while ((uint32_t)product < excess)
            product = (uint64_t)random->next(random->state) * below;
    }
    return (uint32_t)(product >> 32);
}

/* By Fisher and Yates */
bool
bp_settle(const struct bp_random *random, uint32_t *order, atomic_size_t *unsettled, struct bp_poll poll)
{
    enum { AT_A_TIME = 256, UNTIL_A_POLL = 1 << 16 }; /* a few milliseconds, as each may be a cache miss */
    size_t left = atomic_load_explicit(unsettled, memory_order_relaxed);
    bool going = true;

    bp_hold_random(random, true);
    while (left > 0) {
        const size_t first = (left - 1) / AT_A_TIME * AT_A_TIME;
        for (size_t i = left; i-- > first && i > 0;) {
            const uint32_t j = random_below(random, (uint32_t)(i + 1)), other = order[j];
            order[j] = order[i];
            order[i] = other;
        }
        left = first;
        if (left > 0 && left % UNTIL_A_POLL == 0 && poll.ask && poll.ask(poll.context)) {
            going = false;
            left = 0; /* nobody is to wait for more */
        }
        atomic_store_explicit(unsettled, left, memory_order_release);
    }
    bp_hold_random(random, false);
    return going;
}

bool
bp_shuffle(const struct bp_random *random, size_t count, uint32_t *order, struct bp_poll poll)
{
    atomic_size_t unsettled = count;

    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    return bp_settle(random, order, &unsettled, poll);
}
