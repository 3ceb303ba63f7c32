/* epoch.h: an epoch that several processes train together, each on its own rows of every batch.
 * Depends on run.h. */
#ifndef BP_RANKS_EPOCH_H
#define BP_RANKS_EPOCH_H

#include "core/train/run.h"

/* Every thread; false when training ends here. */
bool
bp_ranks_epoch(struct worker *);

#endif
