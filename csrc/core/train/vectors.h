/* vectors.h: parameters and optimizer state while they are trained, and as they stay.
 * Depends on run.h.
 *
 * A sparse x asks for some rows of the first W, and for most of the memory there is: of W, and of each
 * vector that the optimizer remembers. So it is trained in place, in storage order, where a row is one
 * piece. Then the parameters are kept for where an epoch fails, and what the optimizer remembers is
 * not: it begins anew there. All else is trained packed, and what stays is not touched before the
 * epoch is done. What stays of the smallest networks, whose epochs may take less time than unpacking, is put
 * aside packed, and goes to where users see it when the clock is looked at and when training ends. */
#ifndef BP_VECTORS_H
#define BP_VECTORS_H

#include "run.h"

/* Room for parameters, state and, where a step needs all of it at once, gradient; false where
 * memory is short. What it took bp_vectors_close gives back. */
bool
bp_vectors_open(struct run *);
void
bp_vectors_close(struct run *);

/* The vectors that training runs on: parameters, or another in the same order. */
struct bp_vector
bp_trained_vector(const struct run *, bp_real *numbers);

/* Share `me` of `shares` of the parameters and the state to where training runs on them, whose pads
 * are zeros; or back, when those of now become the ones that stay. In place, the parameters are kept. */
void
bp_pack_share(struct run *, size_t me, size_t shares);
void
bp_commit_share(struct run *, size_t me, size_t shares);

/* Room for a copy of what is trained, packed: parameters, then states; NULL where memory is short. */
bp_real *
bp_room_beside(const struct run *);

/* Copies what is trained there, or back. */
void
bp_copy_beside(struct run *, bp_real *beside, bool back);

/* From now on what stays is put aside, and the method puts it at good.next; false where memory is short. */
bool
bp_set_aside(struct run *);

/* What was put aside goes to where users see it. */
void
bp_hand_over(struct run *);

/* Thread 0, before a step moves anything: in place, what is remembered of masked weights is cleared now, as
 * what ends before its first step leaves it as it was. Then bp_meet(). */
void
bp_note_move(struct run *);

/* Where an epoch fails: what stays is what was there before it, but that, in place, the optimizer
 * begins anew if it remembers anything. */
void
bp_take_back(struct run *);

/* Whether share `me` of the parameters is finite, pads included. */
bool
bp_finite_share(const struct run *, size_t me, size_t shares);

/* The first layer in which a weight, or an output of the `rows` rows in ws, is not finite. */
size_t
bp_first_bad_layer(const struct run *, const struct bp_workspace *ws, size_t rows);

/* Whether all pads are zeros, if there are any; for assertions, and not there with NDEBUG. */
bool
bp_all_pads_are_zeros(const struct run *);

#endif
