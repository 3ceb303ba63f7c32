/* plan.h: whether members are trained in lanes, and how. Depends on block.h. */
#ifndef BP_PLAN_BLOCKS_H
#define BP_PLAN_BLOCKS_H

#include "block.h"

/* How the active members of a population, of which there are `active`, are trained the fastest; false where no
 * block helps, and then all is 0. `choices`: how many different rows they have, in all. */
bool
bp_plan_blocks(const struct bp_population *, size_t active, size_t choices, struct block_plan *);

#endif
