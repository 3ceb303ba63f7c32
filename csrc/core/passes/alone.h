/* alone.h: a pass on the caller's thread alone. Depends on input_layer.h, forward.h, losses.h and
 * backward.h. */
#ifndef BP_ALONE_H
#define BP_ALONE_H

#include "backward.h"
#include "forward.h"
#include "input_layer.h"
#include "losses.h"

/* With parameters [bp_room] in storage order, which it only reads unless an update is asked for.
 * ws: with BP_MASK where the data have a mask. */
static inline struct bp_pass
bp_pass_alone(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
              const struct bp_data *data)
{
    return (struct bp_pass){
        .net = net,
        .ws = ws,
        .parameters = bp_reading(parameters, false),
        .threads = 1,
        .masked = data->mask.data != NULL,
    };
}

/* How many of `rows` rows go through the network at a time: a group of a sum over all of them, or a block. */
static inline size_t
bp_rows_together(const struct bp_network *net, size_t rows)
{
    enum { ROWS = 128 };
    const struct bp_grouping by = bp_grouping_of(net, rows);
    const size_t whole = bp_takes_groups(net) ? by.group : by.block, most = whole > 0 ? whole : ROWS;
    return rows < most ? rows : most;
}

/* How sums over those associate. */
static inline struct bp_grouping
bp_sums_together(const struct bp_network *net, size_t rows)
{
    return bp_takes_groups(net) ? bp_grouping_of(net, rows) : (struct bp_grouping){0};
}

/* The rows that fit into ws, from row n on. */
static inline size_t
bp_rows_at_a_time(const struct bp_data *data, size_t n, const struct bp_workspace *ws)
{
    const size_t left = data->x.rows - n;
    return left < ws->rows ? left : ws->rows;
}

/* Everything up to delta of the last layer, for pass.rows rows of the data from row n on; each
 * sample's delta is multiplied by `factor` and its weight. Where the data have derivatives in the
 * place of targets, C_0 is NaN. */
void
bp_forward_to_delta(const struct bp_pass *, const struct bp_data *, size_t n, double factor);

#endif
