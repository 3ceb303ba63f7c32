#include "optimizer.h"

#include <math.h>

size_t
bp_state_count(const struct bp_optimizer *o)
{
    switch (o->rule) {
    case BP_ADAM:
    case BP_ADAMW:
        return 2;
    case BP_RMSPROP:
        return o->momentum == 0 ? 1 : 2;
    case BP_SGD:
        break;
    }
    return o->momentum == 0 ? 0 : 1;
}

bool
bp_is_plain(const struct bp_network *net, const struct bp_optimizer *o)
{
    /* A user's function may fail on the way back, when a plain step has moved some layers already;
     * and 1 - rate decay would round a small decay away. */
    return o->rule == BP_SGD && o->momentum == 0 && o->decay == 0 && isinf(o->clip_norm) &&
           isinf(o->clip_value) && !net->penalized && !net->custom;
}

struct bp_optimizer_step
bp_next_step(const struct bp_optimizer *o, uint64_t steps)
{
    const bool adam = o->rule == BP_ADAM || o->rule == BP_ADAMW;
    const double t = (double)steps + 1;

    return (struct bp_optimizer_step){
        .rule = o->rule,
        .nesterov = o->nesterov,
        .rate = o->rate,
        .momentum = o->momentum,
        .decay = o->decay,
        .beta_1 = o->beta_1,
        .beta_2 = o->beta_2,
        .epsilon = o->epsilon,
        .correction_1 = adam ? 1 - pow(o->beta_1, t) : 1,
        .correction_2 = adam ? 1 - pow(o->beta_2, t) : 1,
        .scale = 1,
        .limit = o->clip_value,
    };
}

void
bp_optimize(const struct bp_network *net, const struct bp_optimizer_step *rule, bp_real *packed,
            bp_real *const state[BP_STATES], size_t at, size_t count, const bp_real *gradient)
{
    bp_real *from[BP_STATES];

    for (size_t s = 0; s < BP_STATES; s++)
        from[s] = state[s] ? bp_at(net, state[s], at) : NULL;
    net->kernels->optimize(rule, count, bp_at(net, packed, at), gradient, from);
}
