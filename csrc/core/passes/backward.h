/* backward.h: ∂C/∂a_k^(l-1) = Σ_j delta_j w_jk and delta = ∂C/∂a g'(z), from the last layer to the
 * first. Depends on pass.h and update.h. */
#ifndef BP_BACKWARD_H
#define BP_BACKWARD_H

#include "update.h"

/* delta of the last layer from its dC_da, which the caller has set. Then bp_meet(). */
void
bp_delta_from_dC_da(const struct bp_pass *);

/* delta of the last layer, row n multiplied by ws->factors[n]. Then bp_meet(). */
void
bp_delta_from_loss(const struct bp_pass *);

/* Carries delta back through all layers and does the update. Then bp_meet(). */
void
bp_backward(const struct bp_pass *, const struct bp_update *);

#endif
