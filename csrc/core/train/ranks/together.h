/* together.h: Σ_n w_n ∂C_0/∂w over all ranks, divided by Σ_n w_n, is the gradient of the whole
 * batch. Depends on run.h. */
#ifndef BP_RANKS_TOGETHER_H
#define BP_RANKS_TOGETHER_H

#include "core/train/run.h"

/* An epoch of which every step is made by all ranks, every thread; until it, or training, ends. */
void
bp_steps_together(struct worker *);

#endif
