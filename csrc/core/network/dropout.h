/* dropout.h: which nodes are left out of a batch that is trained on: a function of keys, drawn anew
 * for every epoch, and of a sample's place in the epoch, so that threads do not matter.
 * Depends on layout.h and base/random.h. */
#ifndef BP_DROPOUT_H
#define BP_DROPOUT_H

#include "core/base/random.h"
#include "layout.h"

struct bp_dropout {
    const uint64_t *keys; /* one per layer */
    uint64_t place;       /* in the epoch of the batch's row 0 */
};

/* keys[l] for every layer with dropout: 64 fresh bits, the upper half first; 0 for the others. */
void bp_draw_keys(const struct bp_network *, const struct bp_random *, uint64_t *keys);

#endif
