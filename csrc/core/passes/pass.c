#include "pass.h"

void
bp_drop_nodes(const struct bp_pass *pass, size_t l, size_t first, size_t last, struct bp_rows rows,
              const bp_real *from, bp_real *to)
{
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel;

    const struct bp_drop which = {
        .key = pass->dropout->keys[l],
        .place = pass->dropout->place,
        .rate = net->layers[l].dropout,
    };
    for (size_t q = first; q < last; q++) {
        const size_t at = q * pass->ws->stride + rows.first * panel;
        net->kernels->drop(&which, rows.first, rows.count, q * panel, bp_const_at(net, from, at),
                           bp_at(net, to, at));
    }
}

void
bp_fill_missing(const struct bp_pass *pass, struct bp_rows own, const bp_real *m, double fill,
                bp_real *out)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel;

    for (size_t q = 0; q < bp_panels(net, net->layers[net->count - 1].outputs); q++) {
        const size_t at = q * ws->stride + own.first * panel;
        net->kernels->keep_where(own.count * panel, bp_at(net, ws->mask, at),
                                 bp_const_at(net, m, at), fill, bp_at(net, out, at));
    }
}
