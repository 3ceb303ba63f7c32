#include "backward.h"

#include "core/network/functions.h"
#include "rounded.h"
#include "sparse_layer.h"

/* delta = dC_da · g'(z), in panels [first, last) and rows `rows` */
static void
multiply_by_slope(const struct bp_pass *pass, size_t l, size_t first, size_t last,
                  struct bp_rows rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_nodes *nodes = &pass->ws->nodes[l];
    const size_t at = first * pass->ws->stride + rows.first * net->kernels->panel;

    if (bp_drops(pass, l))
        bp_drop_nodes(pass, l, first, last, rows, nodes->dC_da, nodes->dC_da);
    bp_apply_slope(net, l, first, last, rows.count, bp_at(net, nodes->z, at),
                   bp_at(net, nodes->a, at), bp_at(net, nodes->dC_da, at),
                   bp_at(net, nodes->delta, at), pass->ws->stride);
}

/* the same for softmax, whose da_dz is a matrix: needs all columns of dC_da */
static void
multiply_by_jacobian(const struct bp_pass *pass, size_t l)
{
    const struct bp_network *net = pass->net;
    const struct bp_nodes *nodes = &pass->ws->nodes[l];
    const struct bp_rows own = bp_own_rows(pass);
    const size_t at = own.first * net->kernels->panel;

    if (bp_drops(pass, l))
        bp_drop_nodes(pass, l, 0, bp_panels(net, net->layers[l].outputs), own, nodes->dC_da,
                      nodes->dC_da);
    net->kernels->softmax_delta(own.count, net->layers[l].outputs, bp_at(net, nodes->a, at),
                                bp_at(net, nodes->dC_da, at), bp_at(net, nodes->delta, at),
                                pass->ws->stride);
}

void
bp_delta_from_dC_da(const struct bp_pass *pass)
{
    const size_t l = pass->net->count - 1;

    if (pass->net->layers[l].activation == BP_SOFTMAX)
        multiply_by_jacobian(pass, l);
    else
        multiply_by_slope(pass, l, 0, bp_panels(pass->net, pass->net->layers[l].outputs),
                          bp_own_rows(pass));
}

void
bp_delta_from_loss(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t l = net->count - 1, outputs = net->layers[l].outputs;
    const size_t panels = bp_panels(net, outputs);
    const struct bp_nodes *nodes = &ws->nodes[l];
    const struct bp_rows own = bp_own_rows(pass);
    const size_t at = own.first * net->kernels->panel;
    const bp_real *a = bp_at(net, nodes->a, at), *y = bp_at(net, ws->y, at);
    bp_real *dC_da = bp_at(net, nodes->dC_da, at), *delta = bp_at(net, nodes->delta, at);

    if (!net->fused || nodes->dC_da != nodes->delta)
        bp_apply_loss_derivative(net, own.count, a, y, dC_da, ws->stride);
    if (pass->masked && !net->fused)
        bp_fill_missing(pass, own, nodes->dC_da, 0, nodes->dC_da);
    if (net->fused)
        net->kernels->fused_delta(net->loss, own.count, outputs, a, y, delta, ws->stride);
    else
        bp_delta_from_dC_da(pass);
    if (pass->masked && net->fused && net->loss == BP_BINARY_CROSS_ENTROPY)
        bp_fill_missing(pass, own, nodes->delta, 0, nodes->delta);
    net->kernels->scale_rows(own.count, panels, ws->factors + own.first, delta, ws->stride);
}

/* delta of panels [first, last) of layer l, turned round for propagate() */
static void
turn_round(const struct bp_pass *pass, size_t l, size_t first, size_t last)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel;

    if (first < last)
        net->kernels->transpose(pass->rows,
                                bp_end_of(net, last, net->layers[l].outputs) - first * panel,
                                bp_at(net, ws->nodes[l].delta, first * ws->stride), ws->stride,
                                bp_at(net, ws->turned.delta[l % 2], first * panel * panel),
                                ws->turned.stride);
}

/* ∂C/∂a_k^(l-1) = Σ_j delta_j w_jk for the nodes k in panels [first, last) of the layer before,
 * turned round: [rows / P][k][P] */
static void
propagate(const struct bp_pass *pass, size_t l, size_t first, size_t last)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_workspace *ws = pass->ws;
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const size_t panel = net->kernels->panel;
    const size_t k_end = bp_end_of(net, last, layer->inputs);

    /* some rows of W at a time: all of their columns then stay cached for every panel of samples */
    for (size_t k = first * panel; k < k_end; k += BP_CHUNK_ROWS)
        bp_product_over_depth(pass,
                              (struct bp_product){
                                  .rows = k_end - k < BP_CHUNK_ROWS ? k_end - k : BP_CHUNK_ROWS,
                                  .columns = pass->rows,
                                  .depth = layer->outputs,
                                  .a = bp_at(net, weights.w, k * weights.row),
                                  .a_row = weights.row,
                                  .a_stride = weights.stride,
                                  .b = ws->turned.delta[l % 2],
                                  .b_row = panel,
                                  .b_stride = ws->turned.stride,
                                  .c = bp_at(net, ws->turned.dC_da, k * panel),
                                  .c_stride = ws->turned.stride,
                              });
}

/* Turns panels [first, last) of the `nodes` nodes in dC_da_turned back, [k / P][rows][P]. */
static void
turn_back(const struct bp_pass *pass, size_t nodes, size_t first, size_t last, bp_real *dC_da)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel;

    for (size_t q = first; q < last; q++) {
        const size_t left = nodes - q * panel;
        net->kernels->transpose(left < panel ? left : panel, pass->rows,
                                bp_at(net, ws->turned.dC_da, q * panel * panel), ws->turned.stride,
                                bp_at(net, dC_da, q * ws->stride), ws->stride);
    }
}

void
bp_backward(const struct bp_pass *pass, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const bool sparse = ws->scratch.nonzeros != NULL;
    const size_t lowest = update->moving && !update->inputs ? net->restraint.lowest : 0;

    if (sparse && update->what != BP_NO_GRADIENT)
        bp_group_nonzeros(pass);
    for (size_t l = net->count; l-- > lowest;) {
        const struct bp_layer *layer = &net->layers[l];
        const size_t inputs = bp_panels(net, layer->inputs),
                     outputs = bp_panels(net, layer->outputs);
        const bool carry = l > lowest || update->inputs;
        size_t first, last, k_first, k_last;

        bp_share(outputs, pass->threads, pass->me, &first, &last);
        bp_share(inputs, pass->threads, pass->me, &k_first, &k_last);
        if (pass->mixed && !(l == 0 && sparse)) {
            bp_round_delta(pass, l, first, last);
            bp_round_turned(pass, l, k_first, k_last);
        }
        else if (carry)
            turn_round(pass, l, first, last);
        bp_meet(pass->team); /* all of delta is there */

        if (carry && pass->mixed)
            bp_rounded_delta_sums(pass, l, k_first, k_last);
        else if (carry)
            propagate(pass, l, k_first, k_last);
        if (l == 0 && sparse && update->what != BP_NO_GRADIENT)
            bp_sparse_update(pass, update);
        else if (update->what != BP_NO_GRADIENT)
            bp_update_layer(pass, l, 1, 0, bp_by_columns(pass, l, carry), update);
        if (carry && !pass->mixed)
            turn_back(pass, layer->inputs, k_first, k_last,
                      l > 0 ? ws->nodes[l - 1].dC_da : ws->dC_dx);
        if (l == 0 || !carry)
            continue;
        /* the share of columns k is the share of outputs of the layer before: no need to meet */
        if (net->layers[l - 1].activation == BP_SOFTMAX) {
            bp_meet(pass->team);
            multiply_by_jacobian(pass, l - 1);
            bp_meet(pass->team);
        }
        else
            multiply_by_slope(pass, l - 1, k_first, k_last, (struct bp_rows){NULL, 0, pass->rows});
    }
}
