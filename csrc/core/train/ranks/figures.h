/* figures.h: an epoch's figures over all ranks. Depends on run.h. */
#ifndef BP_RANKS_FIGURES_H
#define BP_RANKS_FIGURES_H

#include "core/train/run.h"

/* Thread 0: adds them up; false where training ends. */
bool
bp_reduce_figures(struct run *, struct sums *, struct bp_results *validation);

#endif
