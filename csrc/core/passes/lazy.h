/* lazy.h: rules that move, of a sparse x, only the weights of the columns that occur in the batch. What
 * momentum, decay and penalties would have done to the others is not made up for.
 * Depends on nonzeros.h, update.h and pass.h. */
#ifndef BP_LAZY_H
#define BP_LAZY_H

#include "nonzeros.h"
#include "update.h"

/* For BP_OPTIMIZE: the gradient of this thread's columns, and the rule on their weights. */
void
bp_update_columns(const struct bp_pass *, const struct bp_update *);

/* This thread's share of a step on all parameters, with all of the gradient, in the same order as the
 * parameters: of W, only the columns that occur move. Then bp_meet(). */
void
bp_optimize_columns(const struct bp_pass *, const struct bp_optimizer_step *,
                    struct bp_vector gradient, bp_real *const state[BP_STATES]);

/* What sums over the non-zeros of the columns that these groups name, and over all outputs, into c;
 * delta: [outputs / P][rows][P]. */
struct bp_sparse_outer
bp_sums_of_columns(const struct bp_pass *, const bp_real *delta, const struct bp_group *groups,
                   size_t count, struct bp_weights c);

#endif
