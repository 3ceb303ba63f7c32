/* vectors.h: parameters and optimizer state while they are trained, packed, and as they stay.
 * Depends on run.h. */
#ifndef BP_VECTORS_H
#define BP_VECTORS_H

#include "run.h"

/* Room for parameters, state and, where a step needs all of it at once, gradient; false where
 * memory is short. What it took bp_vectors_close gives back. */
bool
bp_vectors_open(struct run *);
void
bp_vectors_close(struct run *);

/* Share `me` of `shares` of the parameters and the state to where training runs on them, whose pads
 * are zeros; or back, when those of now become the ones that stay. */
void
bp_pack_share(const struct run *, size_t me, size_t shares);
void
bp_commit_share(struct run *, size_t me, size_t shares);

/* Whether share `me` of the parameters is finite, pads included. */
bool
bp_finite_share(const struct run *, size_t me, size_t shares);

/* The first layer in which a weight, or an output of the `rows` rows in ws, is not finite. */
size_t
bp_first_bad_layer(const struct run *, const struct bp_workspace *ws, size_t rows);

/* Whether all pads are; for assertions, and not there with NDEBUG. */
bool
bp_all_pads_are_zeros(const struct run *);

#endif
