#include "single.h"

#include "core/passes/forward.h"

bool
bp_takes_single(const struct bp_training *t, size_t batch)
{
    return batch == 1 && !t->net->dropout && !t->settings.norms && !t->ranks &&
           !t->data.mask.data && !bp_is_sparse(&t->data.x) && !t->net->restraint.rated &&
           !t->net->restraint.masked && !(t->stream && t->stream->whole);
}

bool
bp_is_single(const struct bp_training *t, size_t batch)
{
    return bp_takes_single(t, batch) && bp_is_plain(t->net, t->optimizer);
}

/* With one row, panels lie one behind the other: a vector of nodes is plain, pads at its end. */

void
bp_single_forward(const struct bp_pass *pass, const struct bp_workspace *last)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = kernels->panel;

    if (!last) {
        bp_forward(pass);
        return;
    }
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
        const struct bp_nodes *nodes = &ws->nodes[l];
        size_t first, end;

        if (l > 0)
            bp_meet(pass->team);
        bp_share(bp_panels(net, layer->outputs), pass->threads, pass->me, &first, &end);
        kernels->descend_and_sum(&(struct bp_descent){
            .panels = end - first,
            .depth = layer->inputs,
            .a_last = bp_input_of(last, l),
            .delta = bp_at(net, last->nodes[l].delta, first * panel),
            .a = bp_input_of(ws, l),
            .start = weights.bias ? bp_at(net, weights.bias, first * panel) : NULL,
            .w = bp_at(net, weights.w, first * weights.stride),
            .w_stride = weights.stride,
            .z = bp_at(net, nodes->z, first * panel),
        });
        if (layer->activation != BP_SOFTMAX)
            kernels->activate(layer->activation, (end - first) * panel,
                              bp_at(net, nodes->z, first * panel),
                              bp_at(net, nodes->a, first * panel));
        else {
            bp_meet(pass->team);
            if (pass->me == 0)
                kernels->softmax(1, layer->outputs, nodes->z, nodes->a, ws->stride);
        }
    }
}

/* delta of the layer before l */
static void
carry_back(const struct bp_pass *pass, size_t l)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const struct bp_nodes *nodes = &pass->ws->nodes[l], *before = &pass->ws->nodes[l - 1];
    const enum bp_activation activation = net->layers[l - 1].activation;
    size_t first, end;

    bp_share(bp_panels(net, layer->inputs), pass->threads, pass->me, &first, &end);
    const size_t k = first * kernels->panel, k_end = end * kernels->panel;
    if (first < end)
        kernels->turned_sum((k_end < layer->inputs ? k_end : layer->inputs) - k, layer->outputs,
                            bp_at(net, weights.w, k * kernels->panel), weights.stride, nodes->delta,
                            bp_at(net, before->dC_da, k));
    if (activation != BP_SOFTMAX)
        kernels->derivative(activation, k_end - k, bp_at(net, before->z, k),
                            bp_at(net, before->a, k), bp_at(net, before->dC_da, k),
                            bp_at(net, before->delta, k));
    else {
        bp_meet(pass->team);
        if (pass->me == 0)
            kernels->softmax_delta(1, layer->inputs, before->a, before->dC_da, before->delta,
                                   pass->ws->stride);
    }
}

void
bp_single_backward(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel;

    for (size_t l = net->count - 1; l > 0; l--) {
        carry_back(pass, l);
        bp_meet(pass->team);
    }
    /* last, as each bias lies behind a W, where vectors are filled up */
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
        size_t first, end;

        bp_share(bp_panels(net, net->layers[l].outputs), pass->threads, pass->me, &first, &end);
        if (weights.bias)
            net->kernels->column_sums(
                1, (end - first) * panel, bp_at(net, pass->ws->nodes[l].delta, first * panel),
                pass->ws->stride, true, bp_at(net, weights.bias, first * panel));
    }
}

void
bp_single_finish(const struct bp_pass *pass, const struct bp_workspace *last)
{
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel;

    for (size_t l = 0; last && l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
        size_t first, end;

        bp_share(bp_panels(net, layer->outputs), pass->threads, pass->me, &first, &end);
        if (first < end)
            net->kernels->outer(&(struct bp_outer){
                .rows = layer->inputs,
                .columns = (end - first) * panel,
                .depth = 1,
                .a = bp_input_of(last, l),
                .a_stride = last->stride,
                .delta = bp_at(net, last->nodes[l].delta, first * panel),
                .delta_stride = last->stride,
                .c = bp_at(net, weights.w, first * weights.stride),
                .c_row = panel,
                .c_stride = weights.stride,
                .add = true,
            });
    }
}
