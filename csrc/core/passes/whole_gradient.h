/* whole_gradient.h: a step that needs all of the gradient before it moves anything, for clipping by
 * norm and for measuring. Depends on pass.h and network/.
 *
 * The sums do not depend on the layout, nor on the number of threads. */
#ifndef BP_WHOLE_GRADIENT_H
#define BP_WHOLE_GRADIENT_H

#include "core/network/optimizer.h"
#include "pass.h"

/* Adds the penalties, `weight` times, to `weight` times the gradient; the square root of Σ
 * gradient² over what moves, of the gradient itself, the same for every thread. Every thread of the team calls it
 * when the gradient is complete, and all meet in it. */
double
bp_finish_gradient(const struct bp_pass *, struct bp_vector gradient, double weight);

/* What a gradient of this norm is multiplied by, as torch.nn.utils.clip_grad_norm_ does. */
double
bp_clip_scale(double norm, double clip_norm);

/* The thread's share of a step on all parameters, with all of the gradient and with states in the same
 * order as the parameters. Then bp_meet(). */
void
bp_optimize_share(const struct bp_pass *, const struct bp_optimizer_step *,
                  struct bp_vector gradient, bp_real *const state[BP_STATES]);

/* The same for the parameters from number `from` on. */
void
bp_optimize_share_from(const struct bp_pass *, size_t from, const struct bp_optimizer_step *,
                       struct bp_vector gradient, bp_real *const state[BP_STATES]);

#endif
