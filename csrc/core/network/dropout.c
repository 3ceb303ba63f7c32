#include "dropout.h"

void
bp_draw_keys(const struct bp_network *net, const struct bp_random *random, uint64_t *keys)
{
    bp_hold_random(random, true);
    for (size_t l = 0; l < net->count; l++) {
        keys[l] = 0;
        if (net->layers[l].dropout == 0)
            continue;
        keys[l] = (uint64_t)random->next(random->state) << 32;
        keys[l] |= random->next(random->state);
    }
    bp_hold_random(random, false);
}
