/* sparse_layer.h: the first layer where x is sparse: all is in proportion to the non-zeros, but for
 * rules that move every weight. Depends on lazy.h, nonzeros.h, update.h, pass.h and data/. */
#ifndef BP_SPARSE_LAYER_H
#define BP_SPARSE_LAYER_H

#include "nonzeros.h"
#include "update.h"

/* The batch's non-zeros, of this thread's rows. Then bp_meet(). */
void
bp_load_nonzeros(const struct bp_pass *, const struct bp_array *x, struct bp_rows);

/* Sorts them by columns: this thread's, of all rows. Then bp_meet(). */
void
bp_group_nonzeros(const struct bp_pass *);

/* z[n][j] = b_j + Σ_k w_jk x_k in panels [first, last) and rows `rows`; z is that of the first row in
 * the first panel, z_stride from a panel to the next. */
void
bp_sparse_sums(const struct bp_pass *, struct bp_weights, size_t first, size_t last,
               struct bp_rows rows, bp_real *z, size_t z_stride);

/* This thread's share of the gradient of W, and what is to be done with it. */
void
bp_sparse_update(const struct bp_pass *, const struct bp_update *);

/* C[k][j] += Σ_n delta[n][j] x[n][k], or = that, for this thread's of the columns k that occur. */
void
bp_sparse_gradient(const struct bp_pass *, const bp_real *delta, struct bp_weights c, bool add);

/* C[k][j] = delta[n][j] x[n][k] of one sample, for the columns k that occur in it. */
void
bp_sparse_gradient_of_row(const struct bp_pass *, size_t n, struct bp_weights c);

#endif
