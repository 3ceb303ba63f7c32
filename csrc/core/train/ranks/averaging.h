/* averaging.h: each rank makes some steps alone, then all take the mean of their parameters and of
 * what the optimizer remembers. Depends on run.h. */
#ifndef BP_RANKS_AVERAGING_H
#define BP_RANKS_AVERAGING_H

#include "core/train/run.h"

/* An epoch like that, every thread; until it, or training, ends. */
void
bp_steps_alone(struct worker *);

#endif
