/* rows.h: which rows are a rank's. Depends on run.h. */
#ifndef BP_RANKS_ROWS_H
#define BP_RANKS_ROWS_H

#include "core/train/run.h"

/* Where the rows of an epoch have come to; the same for all threads of a rank. */
struct place {
    size_t first, rows; /* the row of this block that comes next, of so many */
    bool begun, ended;
};

/* Every thread: the next batch, or this rank's shard of it; no rows once its samples are used up.
 */
struct bp_rows
bp_next_batch(struct worker *, struct place *);

/* This rank's part of a batch: all of its shard, or its share of rows that every rank has. */
struct bp_rows
bp_rows_of_rank(const struct bp_ranks *, struct bp_rows batch);

#endif
