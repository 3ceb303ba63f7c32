/* lanes.h: a group of samples, as grouping.h has them, forward and back through a narrow network,
 * with samples in the lanes of vectors: block b of the group lies in lane b, so that sums over a
 * lane, and then over the lanes, are the group's. Depends on sums.h and below.
 *
 * A thread does a group by itself: `pass` has a workspace of its own, with room for a group and
 * without BP_FORWARD_ONLY, and no team. Row i of block b is row i P + b of the workspace, where layers
 * are turned round, in the memory of their panels. The bits are those of the other passes. */
#ifndef BP_LANES_H
#define BP_LANES_H

#include "sums.h"

/* Whether the network, and a sum over so many rows, can be done so. */
bool
bp_fits_lanes(const struct bp_network *, size_t rows);

/* Rows of a group: the room that a workspace needs. */
static inline size_t
bp_lanes_rows(const struct bp_network *net)
{
    return BP_BLOCK_ROWS * net->kernels->panel;
}

/* Loads a group, `rows` being at most bp_lanes_rows: its first sample again where there are fewer,
 * with a factor of 0. y may be left out. */
void
bp_lanes_load(struct bp_pass *, const struct bp_data *, struct bp_rows, bool targets);

/* z and a of every layer. */
void
bp_lanes_forward(const struct bp_pass *);

/* C_0 of each sample, as bp_losses has it, and what those of `rows`, which were loaded, add up to. */
struct bp_loss_sums
bp_lanes_losses(const struct bp_pass *, const struct bp_data *, struct bp_rows rows);

/* delta of the last layer, each sample's multiplied by its ws->factors. */
void
bp_lanes_delta(const struct bp_pass *);

/* From delta of the last layer back: Σ over the group of delta_j a_k into `gradient`, whose pads are
 * not touched; and Σ over the group of ∂C/∂x into `inputs`, unless that is NULL. */
void
bp_lanes_backward(const struct bp_pass *, struct bp_vector gradient, bp_real *inputs);

/* a of the last layer of the first `count` samples, and their classes, 0 with a NaN: (count, outputs)
 * and (count,). The first needs no delta any more. */
void
bp_lanes_outputs(const struct bp_pass *, size_t count, bp_real *out);
void
bp_lanes_classes(const struct bp_pass *, size_t count, int64_t *out);

/* The row of the workspace that sample n of a group lies in. */
static inline size_t
bp_lanes_row(const struct bp_network *net, size_t n)
{
    return n % BP_BLOCK_ROWS * net->kernels->panel + n / BP_BLOCK_ROWS;
}

/* The first layer with a number in its a that is not finite, or net->count. */
size_t
bp_lanes_first_not_finite(const struct bp_pass *);

#endif
