/* step.h: a single step of an optimizer. Depends on passes/ and network/. */
#ifndef BP_STEP_H
#define BP_STEP_H

#include "core/network/optimizer.h"
#include "core/passes/pass.h"

/* One step on all samples as one batch; C before it, NaN where the data have derivatives in the
 * place of targets. Takes parameters [bp_room] in storage order and runs on the caller's thread.
 * ws: room for all samples, with BP_DROPOUT where nodes are dropped, and BP_MASK where the data
 * have a mask; gradient: [bp_room] numbers, needed unless bp_is_plain; dropout: NULL leaves out
 * nothing. Moves nothing when a custom function fails. halt: NULL, or whether it is given up
 * on its way: parameters and optimizer->steps are of no use then, its state is as it was. */
double
bp_step(const struct bp_network *, struct bp_workspace *ws, bp_real *parameters,
        const struct bp_data *, struct bp_optimizer *, bp_real *gradient,
        const struct bp_dropout *, struct bp_halt *halt);

#endif
