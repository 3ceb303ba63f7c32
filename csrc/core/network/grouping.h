/* grouping.h: how a sum over the samples of a batch associates: Σ_groups Σ_blocks Σ_n, each of the
 * three from zero and in order. It is a matter of the network's shape and of the number of rows
 * alone, so that whoever adds, and on how many threads, the bits are the same.
 * Depends on layout.h. */
#ifndef BP_GROUPING_H
#define BP_GROUPING_H

#include "layout.h"

/* Rows of a block, and of a group: `panel` blocks. Both 0: all rows are one block. */
struct bp_grouping {
    size_t block, group;
};

/* Of a sum over `rows` rows. Networks with at most BP_NARROW nodes in every layer, the input layer
 * included, have blocks from BP_MANY_ROWS rows on: a block then fits a lane of a vector, a group a
 * vector. All other sums are one block. */
enum { BP_NARROW = 32, BP_MANY_ROWS = 512, BP_BLOCK_ROWS = 16 };

struct bp_grouping
bp_grouping_of(const struct bp_network *, size_t rows);

#endif
