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

/* Where the gradient of some rows of W lies while it is used: rows k[0], k[1], ..., k[count - 1], `columns`
 * numbers each, whole panels. There is room for `most` rows. */
struct bp_sparse_chunk {
    bp_real *numbers;
    size_t columns, most, count;
    size_t k[BP_GRADIENT_ROWS];
};

struct bp_sparse_chunk
bp_sparse_chunk_of(const struct bp_pass *);

/* The gradient of the chunk's rows, and the optimizer's rule on their weights. The groups are of these
 * rows: of each, in this order; or of some, whose k then rise by one. */
void
bp_optimize_sparse_chunk(const struct bp_pass *, const struct bp_sparse_chunk *,
                         const struct bp_group *groups, size_t count, const struct bp_update *);

/* What sums over the non-zeros of the columns that these groups name, and over all outputs, into c;
 * delta: [outputs / P][rows][P]. */
struct bp_sparse_outer
bp_sums_of_columns(const struct bp_pass *, const bp_real *delta, const struct bp_group *groups,
                   size_t count, struct bp_weights c);

#endif
