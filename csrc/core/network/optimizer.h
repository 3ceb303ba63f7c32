/* optimizer.h: an optimizer's settings and what it remembers. Depends on layout.h. */
#ifndef BP_OPTIMIZER_H
#define BP_OPTIMIZER_H

#include "layout.h"

struct bp_optimizer {
    enum bp_rule rule;
    double rate, momentum, decay;
    double beta_1, beta_2, epsilon; /* beta_2 is RMSprop's alpha */
    bool nesterov, lazy; /* lazy: of a sparse x, only the columns that occur in a batch move */
    double clip_norm, clip_value; /* INFINITY for none */
    uint64_t steps;               /* done so far */
    /* [bp_room] in storage order, zeros at first; NULL past bp_state_count */
    bp_real *state[BP_STATES];
};

/* How many vectors the rule remembers. */
size_t bp_state_count(const struct bp_optimizer *);

/* Whether the rule is w = w - rate g, with one rate for all that moves, so that the step needs no
 * gradient of its own. */
bool bp_is_plain(const struct bp_network *, const struct bp_optimizer *);

/* What to do in the step after `steps` steps. */
struct bp_optimizer_step bp_next_step(const struct bp_optimizer *, uint64_t steps);

/* Whether nothing has to be computed for parameters that are frozen: the rule remembers nothing. */
bool bp_forgets(const struct bp_optimizer *);

/* The step of number `at` of the parameters and the `count` - 1 numbers after it; gradient[0]
 * belongs to the first. state: vectors of the same layout, NULL past bp_state_count. Of what is
 * frozen only the state moves, if there is any. */
void bp_optimize(const struct bp_network *, const struct bp_optimizer_step *,
                 struct bp_vector parameters, bp_real *const state[BP_STATES], size_t at,
                 size_t count, const bp_real *gradient);

/* Sets what is remembered of masked parameters to 0; states in storage order. */
void bp_mask_states(const struct bp_network *, const struct bp_optimizer *);

#endif
