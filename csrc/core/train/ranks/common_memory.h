/* common_memory.h: steps of ranks that have memory in common, where bp_is_shared. Depends on run.h.
 */
#ifndef BP_RANKS_COMMON_MEMORY_H
#define BP_RANKS_COMMON_MEMORY_H

#include "core/train/run.h"

/* The rows to lay run->ws out for, of which a batch takes `batch`. */
size_t
bp_common_rows(const struct bp_training *, size_t batch);

/* Has run->vectors, and run->ws, which is laid out, point to it; false where memory is short. */
bool
bp_common_open(struct run *);

/* Thread 0: returns when all ranks have come, and see what all have written. */
void
bp_ranks_meet(struct run *);

/* Every thread: this rank's rows of x, a and delta past its first `count` are 0. */
void
bp_clear_common_rows(const struct worker *, size_t count);

/* Thread 0: returns when the gradients, or rows, of all ranks are there, and their words. */
void
bp_gather_words(struct run *, struct bp_rows);

/* This thread's share of this rank's share of the step, by the optimizer's rule, or `direct`: -rate
 * is in the delta */
void
bp_common_step(const struct worker *, bool direct, const struct bp_optimizer_step *);

#endif
