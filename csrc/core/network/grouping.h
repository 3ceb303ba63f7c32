/* grouping.h: how a sum over the samples of a batch associates: Σ_groups Σ_blocks Σ_n, each of the
 * three from zero and in order. It is a matter of the network's shape and of the number of rows
 * alone, so that whoever adds, and on how many threads, the bits are the same.
 * Depends on layout.h. */
#ifndef BP_GROUPING_H
#define BP_GROUPING_H

#include "layout.h"

/* Rows of a block, and of a group of whole blocks. Both 0: all rows are one block. */
struct bp_grouping {
    size_t block, group;
};

/* Networks with at most BP_NARROW nodes in every layer, the input layer included, have blocks of
 * BP_BLOCK_ROWS from BP_MANY_ROWS rows on: each fits a lane of a vector, a group a vector. Others with
 * BP_FEW_BYTES of parameters at most have blocks of 128 to BP_MOST_BLOCK_ROWS from BP_MANY_MORE_ROWS on
 * and, so that their gradients take a bounded place, BP_MOST_GROUPS at most. */
enum {
    BP_NARROW = 32,
    BP_MANY_ROWS = 512,
    BP_BLOCK_ROWS = 16,
    BP_FEW_BYTES = (1 << 20) / 3, /* a third of the second cache of many processors */
    BP_MANY_MORE_ROWS = 1024,
    BP_MOST_BLOCK_ROWS = 192,
    BP_MOST_GROUPS = 64,
};

/* Of a sum over `rows` rows. All others are one block. */
struct bp_grouping
bp_grouping_of(const struct bp_network *, size_t rows);

/* The most groups of any sum over `rows` rows or fewer. */
size_t
bp_most_groups(const struct bp_network *, size_t rows);

/* Whether a pass takes a whole group, and adds up its blocks; else it takes one block, which is one sum. */
static inline bool
bp_takes_groups(const struct bp_network *net)
{
    return net->widest <= BP_NARROW;
}

#endif
