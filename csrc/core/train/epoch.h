/* epoch.h: one epoch: training, validation, and whether its parameters stay. Depends on run.h. */
#ifndef BP_TRAIN_EPOCH_H
#define BP_TRAIN_EPOCH_H

#include "run.h"

/* Epoch number `epoch` of this call, every thread; false when training ends after it, or in it. */
bool
bp_epoch(struct worker *, size_t epoch);

#endif
