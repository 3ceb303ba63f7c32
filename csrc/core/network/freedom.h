/* freedom.h: which parameters move, and how fast beside the others. Depends on layout.h.
 *
 * A masked weight is 0: its gradient is 0, and so is what an optimizer remembers of it, so that
 * no rule moves it. A frozen one has a gradient, and a rate of 0. */
#ifndef BP_FREEDOM_H
#define BP_FREEDOM_H

#include "layout.h"

/* Sets masked weights of layer l to 0, or their gradients: rows k ... k + rows - 1 and columns j ...
 * j + columns - 1, the first of a panel, of which `part` begins with w_jk and has no bias. */
void
bp_mask_part(const struct bp_network *, size_t l, size_t k, size_t rows, size_t j, size_t columns,
             struct bp_weights part);

/* The same for all of a vector, or for the share of it that bp_pack gives to one of `shares`. */
void
bp_mask_vector(const struct bp_network *, struct bp_vector);
void
bp_mask_share(const struct bp_network *, struct bp_vector, size_t me, size_t shares);

/* What number `at` of a vector is multiplied by in the optimizer's rate, and where the numbers of
 * that factor end. */
double
bp_rate_factor(const struct bp_network *, bool packed, size_t at, size_t *end);

/* Weights of layer l that move; and parameters of the network. */
size_t
bp_free_weights(const struct bp_network *, size_t l);
size_t
bp_free_parameters(const struct bp_network *);

/* free[p] = whether parameter p, in storage order, moves. */
void
bp_find_free(const struct bp_network *, unsigned char *free);

#endif
