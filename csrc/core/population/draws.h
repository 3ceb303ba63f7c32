/* draws.h: random numbers that are drawn once and read by many, each from their beginning.
 * Depends on base/ and network/. */
#ifndef BP_DRAWS_H
#define BP_DRAWS_H

#include "core/base/random.h"
#include "core/base/status.h"
#include "core/network/layout.h"

struct bp_draws {
    uint32_t *numbers;
    size_t count, room;
    bool short_of_memory;
};

/* One who reads them. */
struct bp_reading_draws {
    const struct bp_draws *draws;
    size_t at;
};

/* All that a training draws from `random` in so many epochs of so many samples: dropout's keys, and
 * with `shuffle` an order. BP_OK, BP_NO_MEMORY, or BP_INTERRUPTED. */
enum bp_status
bp_draw_epochs(struct bp_draws *, const struct bp_network *, const struct bp_random *random,
               size_t epochs, size_t samples, bool shuffle, struct bp_poll);
void
bp_release_draws(struct bp_draws *);

/* Reads them from the first one on. */
struct bp_random
bp_read_draws(struct bp_reading_draws *);

#endif
