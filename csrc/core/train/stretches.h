/* stretches.h: the batches of a block, by as many threads as pay just now.
 * Depends on run.h. */
#ifndef BP_STRETCHES_H
#define BP_STRETCHES_H

#include "run.h"

/* All batches of a block, or those from worker->rows on where it joins: every thread of the team.
 * False when training ends here, or goes on without this thread. */
bool
bp_train_block(struct worker *);

/* This thread is one of `threads` from now on. */
void
bp_join_team(struct bp_pass *, struct bp_team *, size_t threads);

/* Thread 0: threads from `first` on begin where this one stands, before the batch `rows`, or before
 * all where there are none. */
void
bp_call_threads(struct worker *, struct bp_rows rows, size_t first);

#endif
