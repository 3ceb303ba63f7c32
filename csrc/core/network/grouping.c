#include "grouping.h"

struct bp_grouping
bp_grouping_of(const struct bp_network *net, size_t rows)
{
    if (net->widest > BP_NARROW || rows < BP_MANY_ROWS)
        return (struct bp_grouping){0};
    return (struct bp_grouping){BP_BLOCK_ROWS, BP_BLOCK_ROWS * net->kernels->panel};
}
