/* epoch.h: one epoch: training, validation, and whether its parameters stay. Depends on run.h. */
#ifndef BP_TRAIN_EPOCH_H
#define BP_TRAIN_EPOCH_H

#include "run.h"

/* Epoch number worker->epoch of this call, or the rest of it where the thread joins: every thread of
 * the team. False when training ends after it or in it, or goes on without this thread. */
bool
bp_epoch(struct worker *);

#endif
