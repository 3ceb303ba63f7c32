/* stretches.h: the batches of a block, by all of a team or by thread 0 alone, whichever is faster
 * just now. Depends on run.h. */
#ifndef BP_STRETCHES_H
#define BP_STRETCHES_H

#include "run.h"

/* All batches of a block, every thread; false when training ends here. */
bool
bp_train_block(struct worker *);

#endif
