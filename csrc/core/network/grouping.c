#include "grouping.h"

#include "core/base/sizes.h"

/* Blocks of networks that are not narrow are a multiple of it, so that two and four threads have equal
 * shares; blocks of fewer rows cost more to add up than is gained by a cache. */
enum { AT_ONCE = 4, LEAST_BLOCK_ROWS = 128 };

/* How many blocks of networks that are not narrow, or a few less. */
static size_t
blocks_of(size_t rows)
{
    return rows / (AT_ONCE * LEAST_BLOCK_ROWS) * AT_ONCE;
}

struct bp_grouping
bp_grouping_of(const struct bp_network *net, size_t rows)
{
    const bool narrow = net->widest <= BP_NARROW;

    if (rows < (narrow ? BP_MANY_ROWS : BP_MANY_MORE_ROWS))
        return (struct bp_grouping){0};
    if (narrow)
        return (struct bp_grouping){BP_BLOCK_ROWS, BP_BLOCK_ROWS * net->kernels->panel};
    if (net->parameters > BP_FEW_BYTES / net->kernels->size)
        return (struct bp_grouping){0};
    const size_t whole = bp_quotient_up(rows, blocks_of(rows));
    const size_t block = bp_quotient_up(whole, BP_BLOCK_ROWS) * BP_BLOCK_ROWS;
    const size_t blocks_of_group = bp_quotient_up(bp_quotient_up(rows, block), BP_MOST_GROUPS);
    return (struct bp_grouping){block, block * blocks_of_group};
}

size_t
bp_most_groups(const struct bp_network *net, size_t rows)
{
    if (net->widest <= BP_NARROW)
        return bp_quotient_up(rows, BP_BLOCK_ROWS * net->kernels->panel);
    return blocks_of(rows) < BP_MOST_GROUPS ? blocks_of(rows) : BP_MOST_GROUPS;
}
