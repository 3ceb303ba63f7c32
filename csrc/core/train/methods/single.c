#include "single.h"

#include <string.h>

#include "core/base/sizes.h"
#include "core/passes/division.h"
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

/* Quarter s of sums that one thread computes whole */
static struct bp_place
place_of_quarter(const struct bp_pass *pass, size_t s, bp_real *sums)
{
    return (struct bp_place){s == 0 ? sums : bp_own_place(pass, s - 1), pass->net->kernels->panel};
}

/* The step of sample `last`, put off, and z of this one, in panels [first, end) of layer l */
static void
descend_share(const struct bp_pass *pass, const struct bp_workspace *last, size_t l,
              const struct bp_division *division, size_t first, size_t end)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const size_t panel = net->kernels->panel, quarters = division->quarters;
    struct bp_place places[BP_QUARTERS];

    for (size_t s = 0; s < quarters; s++) {
        size_t begin, stop;
        bp_share(bp_panels(net, layer->inputs), quarters, s, &begin, &stop);
        places[s] = place_of_quarter(pass, s, bp_at(net, ws->nodes[l].z, first * panel));
        const size_t k = begin * panel, w = first * weights.stride + k * panel;
        net->kernels->descend_and_sum(&(struct bp_descent){
            .panels = end - first,
            .depth = bp_end_of(net, stop, layer->inputs) - k,
            .a_last = bp_const_at(net, bp_input_of(last, l), k),
            .delta = bp_at(net, last->nodes[l].delta, first * panel),
            .a = bp_const_at(net, bp_input_of(ws, l), k),
            .start = weights.bias && s == 0 ? bp_at(net, weights.bias, first * panel) : NULL,
            .w = bp_at(net, weights.w, w),
            .w_stride = weights.stride,
            .z = places[s].numbers,
        });
    }
    bp_add_places(net, quarters, places, end - first, 1);
}

/* ∂C/∂a of nodes [k, end) of the layer before l */
static void
turn_share(const struct bp_pass *pass, size_t l, const struct bp_division *division, size_t k, size_t end)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const size_t panel = net->kernels->panel, panels = bp_panels(net, end - k), quarters = division->quarters;
    bp_real *dC_da = bp_at(net, pass->ws->nodes[l - 1].dC_da, k);
    struct bp_place places[BP_QUARTERS];

    for (size_t s = 0; s < quarters; s++) {
        size_t begin, stop;
        bp_share(bp_panels(net, layer->outputs), quarters, s, &begin, &stop);
        places[s] = place_of_quarter(pass, s, dC_da);
        net->kernels->turned_sum(end - k, bp_end_of(net, stop, layer->outputs) - begin * panel,
                                 bp_at(net, weights.w, begin * weights.stride + k * panel), weights.stride,
                                 bp_at(net, pass->ws->nodes[l].delta, begin * panel),
                                 places[s].numbers);
    }
    bp_add_places(net, quarters, places, panels, 1);
    memset(bp_at(net, dC_da, end - k), 0, (panels * panel - (end - k)) * net->kernels->size); /* pads */
}

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
        const struct bp_nodes *nodes = &ws->nodes[l];
        const struct bp_division division = bp_division_of(pass, l);
        size_t first, end;

        if (l > 0)
            bp_meet(pass->team);
        bp_share(bp_panels(net, layer->outputs), pass->threads, pass->me, &first, &end);
        const size_t most = bp_panels_at_once(&division, end - first);
        for (size_t q = first; q < end; q += most)
            descend_share(pass, last, l, &division, q, bp_smaller(end, q + most));
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
    const struct bp_division division = bp_division_of(pass, l);
    const struct bp_nodes *before = &pass->ws->nodes[l - 1];
    const enum bp_activation activation = net->layers[l - 1].activation;
    size_t first, end;

    bp_share(bp_panels(net, layer->inputs), pass->threads, pass->me, &first, &end);
    const size_t k = first * kernels->panel, k_end = end * kernels->panel;
    const size_t k_last = bp_smaller(k_end, layer->inputs);
    const size_t most = bp_panels_at_once(&division, end - first) * kernels->panel;
    for (size_t i = k; i < k_last; i += most)
        turn_share(pass, l, &division, i, bp_smaller(i + most, k_last));
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
