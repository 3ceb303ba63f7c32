/* quarters.h: how the sums over a large layer's inputs, Σ_k w_jk a_k, and outputs, Σ_j delta_j w_jk, associate:
 * (q_0 + q_1) + (q_2 + q_3), each q_s the sum over a quarter of the terms, in order: share s of four of their
 * panels, as bp_share() has it. The quarters are a matter of the shape alone, so that whoever computes them, and
 * on how many threads, the bits are the same. Other layers' sums are one sum, in order. Depends on layout.h. */
#ifndef BP_QUARTERS_H
#define BP_QUARTERS_H

#include "layout.h"

/* Layers with at least BP_LARGE inputs and outputs are large, but for the first: its inputs are the samples,
 * whose sums are shorter as a rule, and which may be sparse. */
enum { BP_QUARTERS = 4, BP_LARGE = 1024 };

static inline bool
bp_is_large(const struct bp_network *net, size_t l)
{
    return l > 0 && net->layers[l].inputs >= BP_LARGE && net->layers[l].outputs >= BP_LARGE;
}

static inline bool
bp_has_large(const struct bp_network *net)
{
    for (size_t l = 0; l < net->count; l++)
        if (bp_is_large(net, l))
            return true;
    return false;
}

#endif
