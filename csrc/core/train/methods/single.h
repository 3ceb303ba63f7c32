/* single.h: plain gradient descent with one sample a step, W being read once a step: the step of a
 * sample is put off until the next one comes by. The bits are those of passes/.
 * Depends on passes/ and training.h.
 *
 * Two workspaces of one row take turns: `pass->ws` is the sample's, `last` that of the sample
 * before, whose step is pending; NULL if none is. Every thread of a team calls these functions.
 */
#ifndef BP_SINGLE_H
#define BP_SINGLE_H

#include "core/passes/pass.h"
#include "core/train/training.h"

/* Whether `batch` is 1, and the step needs nothing but the sample and the rule. */
bool
bp_takes_single(const struct bp_training *, size_t batch);

/* Whether it is plain descent, too. */
bool
bp_is_single(const struct bp_training *, size_t batch);

/* Does the pending step, and forward from pass->ws->x, in one. The last layer is complete after
 * bp_meet(). */
void
bp_single_forward(const struct bp_pass *, const struct bp_workspace *last);

/* Carries delta of the last layer back through all layers; the bias takes its step at once. Then
 * bp_meet(). */
void
bp_single_backward(const struct bp_pass *);

/* Does the pending step by itself. Then bp_meet(). */
void
bp_single_finish(const struct bp_pass *, const struct bp_workspace *last);

#endif
