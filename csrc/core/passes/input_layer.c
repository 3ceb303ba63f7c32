#include "input_layer.h"

#include "rounded.h"
#include "sparse_layer.h"

void
bp_load_batch(const struct bp_pass *pass, const struct bp_data *data, const struct bp_rows *rows,
              bool targets)
{
    const struct bp_network *net = pass->net;
    struct bp_workspace *ws = pass->ws;
    const struct bp_rows own = bp_own_rows(pass);
    const struct bp_rows from = {rows->order, rows->first + own.first, own.count};
    const size_t at = own.first * net->kernels->panel;

    if (bp_is_sparse(&data->x))
        bp_load_nonzeros(pass, &data->x, *rows);
    else {
        bp_gather(net, &data->x, &from, bp_at(net, ws->x, at), ws->stride);
        if (pass->mixed)
            bp_round_input(pass, 0, 0, bp_panels(net, net->layers[0].inputs), own);
    }
    if (targets)
        bp_gather_targets(net, data, &from, bp_at(net, ws->y, at), ws->stride);
    if (targets && pass->masked) {
        bp_gather(net, &data->mask, &from, bp_at(net, ws->mask, at), ws->stride);
        bp_fill_missing(pass, own, ws->y, 0, ws->y);
    }
}

void
bp_fetch_batch(const struct bp_pass *pass, const struct bp_data *data, struct bp_rows next)
{
    size_t first, last;
    bp_share(next.count, pass->threads, pass->me, &first, &last);
    if (first < last && !bp_is_sparse(&data->x))
        bp_fetch(&data->x, (struct bp_rows){next.order, next.first + first, last - first});
}

void
bp_fetch_in_backward(struct bp_pass *pass, const struct bp_data *data, struct bp_rows next)
{
    size_t first, last;
    if (bp_is_sparse(&data->x)) /* nobody knows where the rows lie before */
        return;
    if (pass->threads > 1 &&
        !bp_by_columns(pass, 0, false)) { /* then it would see some of the columns only */
        bp_fetch_batch(pass, data, next);
        return;
    }
    bp_share(next.count, pass->threads, pass->me, &first, &last);
    const struct bp_rows own = {next.order, next.first + first, last - first};
    pass->ahead = pass->ws->scratch.ahead + first;
    pass->ahead_bytes = bp_find_rows(&data->x, own, pass->ws->scratch.ahead + first);
    pass->ahead_rows = pass->ahead_bytes > 0 ? own.count : 0;
}
