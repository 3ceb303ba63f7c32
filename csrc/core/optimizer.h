/* optimizer.h: an optimizer's settings and what it remembers. Depends on layout.h. */
#ifndef BP_OPTIMIZER_H
#define BP_OPTIMIZER_H

#include "layout.h"

struct bp_optimizer {
    enum bp_rule rule;
    double rate, momentum, decay;
    bool nesterov;
    uint64_t steps; /* done so far */
    bp_real *state; /* [bp_room] in storage order, zeros at first; NULL for a rule without state */
};

/* Whether the rule is w = keep w - rate g, so that the step needs no gradient of its own. */
static inline bool
bp_is_plain(const struct bp_optimizer *o)
{
    return o->rule == BP_SGD && o->momentum == 0;
}

static inline struct bp_optimizer_step
bp_next_step(const struct bp_optimizer *o)
{
    return (struct bp_optimizer_step){
        .rule = o->rule,
        .nesterov = o->nesterov,
        .rate = o->rate,
        .momentum = o->momentum,
        .decay = o->decay,
    };
}

#endif
