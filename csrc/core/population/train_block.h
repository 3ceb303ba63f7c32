/* train_block.h: the training of a population in blocks, one member a lane of the vectors. Depends on block.h. */
#ifndef BP_TRAIN_BLOCK_H
#define BP_TRAIN_BLOCK_H

#include "block.h"

/* Trains `count` active members, at most a group; `same`: what all draw from, or NULL. */
enum bp_status
bp_train_members_of(struct block *, struct bp_span, const uint32_t *members, size_t count,
               const struct bp_random *same, struct bp_poll);

#endif
