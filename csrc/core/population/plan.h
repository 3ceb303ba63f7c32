/* plan.h: whether members are trained in lanes, and how. Depends on block.h. */
#ifndef BP_PLAN_BLOCKS_H
#define BP_PLAN_BLOCKS_H

#include "block.h"

/* How the active members of a population, of which there are `active`, are trained the fastest; false where no
 * block helps, and then all is 0. `choices`: how many different rows they have, in all. */
bool
bp_plan_blocks(const struct bp_population *, size_t active, size_t choices, struct block_plan *);

/* The last round of blocks, fewer than there are threads, leaves some of them without work: whether it ends before all
 * threads would have trained the members that are `left`, its own among them, one by one. */
bool
bp_last_round_pays(const struct block_plan *, size_t left, size_t threads);

#endif
