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
void
bp_shuffle_places(const struct bp_random *random, uint32_t *order, size_t first, size_t end)
{
    for (size_t i = end; i-- > first && i > 0;) {
        const uint32_t j = random_below(random, (uint32_t)(i + 1)), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

bool
bp_shuffle(const struct bp_random *random, size_t count, uint32_t *order, struct bp_poll poll)
{
    enum { AT_A_TIME = 1 << 16 }; /* a few milliseconds, as each may be a cache miss */
    bool going = true;

    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    bp_hold_random(random, true);
    for (size_t left = count; left > 0 && going;) {
        const size_t first = (left - 1) / AT_A_TIME * AT_A_TIME;
        bp_shuffle_places(random, order, first, left);
        left = first;
        going = left == 0 || !poll.ask || !poll.ask(poll.context);
    }
    bp_hold_random(random, false);
    return going;
}
