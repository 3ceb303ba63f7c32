/* rounded.h: the products of a layer, of factors rounded to bfloat16: kernels/mixed.h. For a pass
 * with `mixed`, of float32, and a workspace with BP_ROUNDED. Depends on pass.h.
 *
 * What is rounded lies in the workspace, but for the weights: of these each thread rounds a piece
 * when it is about to use it. */
#ifndef BP_ROUNDED_H
#define BP_ROUNDED_H

#include "pass.h"

/* Rounds what layer l reads, in panels [first, last) and rows `rows` of it. Does nothing without
 * `mixed`, nor for l past the last layer. */
void
bp_round_input(const struct bp_pass *, size_t l, size_t first, size_t last, struct bp_rows rows);

/* Rounds panels [first, last) of layer l's delta, and [first, last) of what it reads, turned. */
void
bp_round_delta(const struct bp_pass *, size_t l, size_t first, size_t last);
void
bp_round_turned(const struct bp_pass *, size_t l, size_t first, size_t last);

/* z = W a_prev + b of layer l, in panels [first, last) and rows `rows`. */
void
bp_rounded_sums(const struct bp_pass *, size_t l, size_t first, size_t last, struct bp_rows rows);

/* ∂C/∂a_k^(l-1) = Σ_j delta_j w_jk, in panels [first, last) of the layer before. */
void
bp_rounded_delta_sums(const struct bp_pass *, size_t l, size_t first, size_t last);

/* The outer product of layer l, from row k on of panels q and on of its weights. */
void
bp_rounded_outer(const struct bp_pass *, size_t l, size_t k, size_t q, const struct bp_outer *);

#endif
