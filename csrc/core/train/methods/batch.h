/* batch.h: what the methods do alike with a batch. Every thread of the team calls these functions.
 * Depends on run.h. */
#ifndef BP_BATCH_H
#define BP_BATCH_H

#include "core/train/run.h"

/* Readies the pass for a batch in ws: rows, mask and dropout. */
void
bp_begin_batch(struct worker *, struct bp_workspace *ws, struct bp_rows);

/* Begins a batch and loads it; false where training ends here. They have met when it returns. */
bool
bp_load_or_stop(struct worker *, struct bp_workspace *ws, struct bp_rows);

/* Losses and sums of the batch that has gone forward, and what each sample's delta is multiplied
 * by: its share of the mean, times `sign`. Then delta of the last layer. False where the loss is
 * not finite, which ends training. They have met when it returns. */
bool
bp_turn_round(struct worker *, struct bp_rows, double sign);

/* A step has been done. */
static inline void
bp_count_step(struct worker *worker)
{
    worker->sums.steps++;
    worker->step++;
    if (worker->pass.me == 0)
        worker->run->steps++;
}

#endif
