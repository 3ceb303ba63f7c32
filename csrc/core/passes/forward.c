#include "forward.h"

#include "core/network/functions.h"
#include "rounded.h"
#include "sparse_layer.h"

/* z and a of one layer: the share of it that lies in panels [first, last) and rows `rows` */
static void
forward_share(const struct bp_pass *pass, size_t l, size_t first, size_t last,
              const struct bp_rows *rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const struct bp_workspace *ws = pass->ws;
    const size_t at = rows->first * kernels->panel;
    bp_real *z = bp_at(net, ws->nodes[l].z, first * ws->stride + at);

    if (l == 0 && ws->scratch.nonzeros)
        bp_sparse_sums(pass, weights, first, last, *rows, z, ws->stride);
    else if (pass->mixed)
        bp_rounded_sums(pass, l, first, last, *rows);
    else
        bp_product_over_depth(
            pass, &(struct bp_product){
                      .rows = rows->count,
                      .columns = bp_end_of(net, last, layer->outputs) - first * kernels->panel,
                      .depth = layer->inputs,
                      .a = bp_const_at(net, bp_input_of(pass->ws, l), at),
                      .a_row = kernels->panel,
                      .a_stride = ws->stride,
                      .b = bp_at(net, weights.w, first * weights.stride),
                      .b_row = weights.row,
                      .b_stride = weights.stride,
                      .c = z,
                      .c_stride = ws->stride,
                      .start =
                          weights.bias ? bp_at(net, weights.bias, first * kernels->panel) : NULL,
                  });
    bp_apply_activation(net, l, first, last, rows->count,
                        bp_at(net, ws->nodes[l].z, first * ws->stride + at),
                        bp_at(net, ws->nodes[l].a, first * ws->stride + at), ws->stride);
    if (layer->activation == BP_SOFTMAX)
        return;
    if (bp_drops(pass, l))
        bp_drop_nodes(pass, l, first, last, *rows, ws->nodes[l].a, ws->nodes[l].dropped);
    if (pass->mixed)
        bp_round_input(pass, l + 1, first, last, *rows);
}

static void
forward_by_columns(const struct bp_pass *pass, size_t l)
{
    enum { GRAIN = 3 }; /* of a tile, at most */
    const struct bp_rows all = {NULL, 0, pass->rows};
    struct bp_pieces pieces =
        bp_divide(pass, bp_panels(pass->net, pass->net->layers[l].outputs), GRAIN);
    size_t first, last;

    while (bp_next_piece(&pieces, &first, &last))
        forward_share(pass, l, first, last, &all);
}

void
bp_forward(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;

    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_nodes *nodes = &ws->nodes[l];
        const size_t panels = bp_panels(net, layer->outputs);
        const struct bp_rows own = bp_own_rows(pass);

        if (l > 0)
            bp_meet(pass->team);
        if (panels >= pass->threads) /* by columns, or, where there are too few, by rows */
            forward_by_columns(pass, l);
        else
            forward_share(pass, l, 0, panels, &own);
        if (layer->activation == BP_SOFTMAX) {
            const size_t at = own.first * net->kernels->panel;
            bp_meet(pass->team);
            net->kernels->softmax(own.count, layer->outputs, bp_at(net, nodes->z, at),
                                  bp_at(net, nodes->a, at), ws->stride);
            if (bp_drops(pass, l))
                bp_drop_nodes(pass, l, 0, panels, own, nodes->a, nodes->dropped);
            bp_round_input(pass, l + 1, 0, panels, own);
        }
    }
}
