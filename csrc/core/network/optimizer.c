#include "optimizer.h"

#include <math.h>
#include <string.h>

#include "freedom.h"

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
           isinf(o->clip_value) && !net->penalized && !net->custom &&
           !net->restraint.scaled;
}

/* 1 - beta^t; beta^t <= e^(-(1 - beta) t), which below 2^-54 leaves 1 as it is: a power takes as long as half
 * a step of the smallest networks */
static double
correction(double beta, double t)
{
    const double enough = 38; /* e^-38 < 2^-54 */
    return (1 - beta) * t >= enough ? 1 : 1 - pow(beta, t);
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
        .correction_1 = adam ? correction(o->beta_1, t) : 1,
        .correction_2 = adam ? correction(o->beta_2, t) : 1,
        .scale = 1,
        .limit = o->clip_value,
    };
}

bool
bp_forgets(const struct bp_optimizer *o)
{
    return bp_state_count(o) == 0;
}

/* The step of a part whose rates are the rule's. */
static void
optimize_part(const struct bp_network *net, const struct bp_optimizer_step *rule, bp_real *w,
              bp_real *const state[BP_STATES], size_t at, size_t count, const bp_real *gradient)
{
    bp_real *from[BP_STATES];

    for (size_t s = 0; s < BP_STATES; s++)
        from[s] = state[s] ? bp_at(net, state[s], at) : NULL;
    net->kernels->optimize(rule, count, w, gradient, from);
}

/* Of a frozen part: what the rule remembers goes on, as it does where a rate is 0, but on copies of
 * the parameters, of which not one bit moves. */
static void
remember_part(const struct bp_network *net, const struct bp_optimizer_step *rule, bp_real *w,
              bp_real *const state[BP_STATES], size_t at, size_t count, const bp_real *gradient)
{
    enum { NUMBERS = 512 };
    double copy[NUMBERS];
    struct bp_optimizer_step still = *rule;

    still.rate = 0;
    for (size_t i = 0; state[0] && i < count; i += NUMBERS) {
        const size_t part = count - i < NUMBERS ? count - i : NUMBERS;
        memcpy(copy, bp_const_at(net, w, i), part * net->kernels->size);
        optimize_part(net, &still, copy, state, at + i, part, bp_const_at(net, gradient, i));
    }
}

void
bp_optimize(const struct bp_network *net, const struct bp_optimizer_step *rule,
            struct bp_vector parameters, bp_real *const state[BP_STATES], size_t at, size_t count,
            const bp_real *gradient)
{
    bp_real *w = bp_at(net, parameters.numbers, at);

    if (!net->restraint.rated) {
        optimize_part(net, rule, w, state, at, count, gradient);
        return;
    }
    for (size_t i = 0, part; i < count; i += part) {
        size_t end;
        const double factor = bp_rate_factor(net, parameters.packed, at + i, &end);
        struct bp_optimizer_step own = *rule;
        part = end - at - i < count - i ? end - at - i : count - i;
        own.rate *= factor;
        (factor == 0 ? remember_part : optimize_part)(net, &own, bp_at(net, w, i), state, at + i,
                                                      part, bp_const_at(net, gradient, i));
    }
}

void
bp_mask_states(const struct bp_network *net, const struct bp_optimizer *o)
{
    for (size_t s = 0; s < bp_state_count(o); s++)
        bp_mask_vector(net, (struct bp_vector){o->state[s], false});
}
