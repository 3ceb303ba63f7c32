/* load_block.h: samples of the members of a block, and what their steps are made with.
 * Depends on block.h. */
#ifndef BP_LOAD_BLOCK_H
#define BP_LOAD_BLOCK_H

#include "block.h"

/* lanes.data: samples [first, first + count) of this epoch, in every member's order; adds to the lanes' weights. */
void
bp_load_block(struct block *, size_t first, size_t count);

/* The same of the samples to validate on, in their order. */
void
bp_load_block_to_validate(struct block *, size_t first, size_t count);

/* lanes.step: of the steps on the `count` samples that are loaded. */
void
bp_ready_block_steps(struct block *, size_t count);

#endif
