#include "passes.h"

#include <string.h>

#include "core/network/functions.h"
#include "core/network/optimizer.h"

/* Products run over this many terms at a time, whole panels of them: a block of a panel, 16 KiB,
 * then stays in the nearest cache while all rows pass by. */
enum { BLOCK = 256 };

/* Whether layer l's weights are divided among threads by outputs j while they are changed. Rows k of W
 * belong to one thread where the delta is carried past them: it reads them, then changes them. Where
 * only the forward pass reads W, the same columns belong to it as there, and stay in its
 * processor's cache, unless they are so few that the shares would be unequal. */
static bool
by_columns(const struct bp_pass *pass, size_t l, bool carry)
{
    enum { FEW_PANELS = 8 };
    return !carry && bp_panels(pass->net, pass->net->layers[l].outputs) >= FEW_PANELS * pass->threads;
}

/* the first column past panels [..., last) of `columns` */
static size_t
end_of(const struct bp_network *net, size_t last, size_t columns)
{
    const size_t end = last * net->kernels->panel;
    return end < columns ? end : columns;
}

/* p over all of its depth, block by block; every panel's block in turn. Blocks are whole panels of
 * a, about equally deep: a short one would be mostly loads and stores of its sums. */
static void
product_in_blocks(const struct bp_pass *pass, struct bp_product p)
{
    const struct bp_network *net = pass->net;
    const size_t depth = p.depth, panels = bp_panels(net, depth);
    const size_t blocks = (depth + BLOCK - 1) / BLOCK, panel = net->kernels->panel;

    for (size_t i = 0; i < blocks; i++) {
        size_t first, last;
        bp_share(panels, blocks, i, &first, &last);
        p.depth = end_of(net, last, depth) - first * panel;
        net->kernels->product(&p);
        p.a = bp_at(net, p.a, (last - first) * p.a_stride);
        p.b = bp_at(net, p.b, p.depth * p.b_row);
        p.resume = true;
    }
}

/* the rows of the batch that are this thread's */
static struct bp_rows
own_rows(const struct bp_pass *pass)
{
    size_t first, last;
    bp_share(pass->rows, pass->threads, pass->me, &first, &last);
    return (struct bp_rows){NULL, first, last - first};
}

/* what layer l reads */
static const bp_real *
input_of(const struct bp_pass *pass, size_t l)
{
    const struct bp_nodes *before = pass->ws->nodes + l - 1;
    if (l == 0)
        return pass->ws->x;
    return pass->dropout && pass->net->layers[l - 1].dropout > 0 ? before->dropped : before->a;
}

/* Leaves out nodes of layer l while training: their entries of `from`, the layer's first panel,
 * become 0 in `to`, which may be `from`. In panels [first, last) and rows `rows`. */
static void
drop(const struct bp_pass *pass, size_t l, size_t first, size_t last, struct bp_rows rows,
     const bp_real *from, bp_real *to)
{
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel;

    if (!pass->dropout || net->layers[l].dropout == 0)
        return;
    const struct bp_drop which = {
        .key = pass->dropout->keys[l],
        .place = pass->dropout->place,
        .rate = net->layers[l].dropout,
    };
    for (size_t q = first; q < last; q++) {
        const size_t at = q * pass->ws->stride + rows.first * panel;
        net->kernels->drop(&which, rows.first, rows.count, q * panel, bp_at(net, from, at),
                           bp_at(net, to, at));
    }
}

/* m = m where there is a target, else fill: rows `own` of the last layer */
static void
fill_missing(const struct bp_pass *pass, struct bp_rows own, const bp_real *m, double fill,
             bp_real *out)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel;

    for (size_t q = 0; q < bp_panels(net, net->layers[net->count - 1].outputs); q++) {
        const size_t at = q * ws->stride + own.first * panel;
        net->kernels->keep_where(own.count * panel, bp_at(net, ws->mask, at), bp_at(net, m, at),
                                 fill, bp_at(net, out, at));
    }
}

void
bp_load_batch(const struct bp_pass *pass, const struct bp_data *data, struct bp_rows rows,
              bool targets)
{
    const struct bp_network *net = pass->net;
    struct bp_workspace *ws = pass->ws;
    const struct bp_rows own = own_rows(pass);
    const struct bp_rows from = {rows.order, rows.first + own.first, own.count};
    const size_t at = own.first * net->kernels->panel;

    bp_gather(net, &data->x, from, bp_at(net, ws->x, at), ws->stride);
    if (targets)
        bp_gather_targets(net, data, from, bp_at(net, ws->y, at), ws->stride);
    if (targets && pass->masked) {
        bp_gather(net, &data->mask, from, bp_at(net, ws->mask, at), ws->stride);
        fill_missing(pass, own, ws->y, 0, ws->y);
    }
}

void
bp_fetch_batch(const struct bp_pass *pass, const struct bp_data *data, struct bp_rows next)
{
    size_t first, last;
    bp_share(next.count, pass->threads, pass->me, &first, &last);
    if (first < last)
        bp_fetch(&data->x, (struct bp_rows){next.order, next.first + first, last - first});
}

void
bp_fetch_in_backward(struct bp_pass *pass, const struct bp_data *data, struct bp_rows next)
{
    size_t first, last;
    if (pass->threads > 1 && !by_columns(pass, 0, false)) { /* then it would see some of the columns only */
        bp_fetch_batch(pass, data, next);
        return;
    }
    bp_share(next.count, pass->threads, pass->me, &first, &last);
    const struct bp_rows own = {next.order, next.first + first, last - first};
    pass->ahead = pass->ws->ahead + first;
    pass->ahead_bytes = bp_find_rows(&data->x, own, pass->ws->ahead + first);
    pass->ahead_rows = pass->ahead_bytes > 0 ? own.count : 0;
}

/* z and a of one layer: the share of it that lies in panels [first, last) and rows `rows` */
static void
forward_share(const struct bp_pass *pass, size_t l, size_t first, size_t last, struct bp_rows rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const struct bp_workspace *ws = pass->ws;
    const size_t at = rows.first * kernels->panel;

    product_in_blocks(
        pass, (struct bp_product){
                  .rows = rows.count,
                  .columns = end_of(net, last, layer->outputs) - first * kernels->panel,
                  .depth = layer->inputs,
                  .a = bp_at(net, input_of(pass, l), at),
                  .a_row = kernels->panel,
                  .a_stride = ws->stride,
                  .b = bp_at(net, weights.w, first * weights.stride),
                  .b_row = weights.row,
                  .b_stride = weights.stride,
                  .c = bp_at(net, ws->nodes[l].z, first * ws->stride + at),
                  .c_stride = ws->stride,
                  .start = weights.bias ? bp_at(net, weights.bias, first * kernels->panel) : NULL,
              });
    bp_apply_activation(net, l, first, last, rows.count,
                        bp_at(net, ws->nodes[l].z, first * ws->stride + at),
                        bp_at(net, ws->nodes[l].a, first * ws->stride + at), ws->stride);
    if (layer->activation != BP_SOFTMAX)
        drop(pass, l, first, last, rows, ws->nodes[l].a, ws->nodes[l].dropped);
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
        const struct bp_rows own = own_rows(pass);
        size_t first = 0, last = panels;

        if (l > 0)
            bp_meet(pass->team);
        if (panels >= pass->threads) { /* by columns, or, where there are too few, by rows */
            bp_share(panels, pass->threads, pass->me, &first, &last);
            forward_share(pass, l, first, last, (struct bp_rows){NULL, 0, pass->rows});
        }
        else
            forward_share(pass, l, first, last, own);
        if (layer->activation == BP_SOFTMAX) {
            const size_t at = own.first * net->kernels->panel;
            bp_meet(pass->team);
            net->kernels->softmax(own.count, layer->outputs, bp_at(net, nodes->z, at),
                                  bp_at(net, nodes->a, at), ws->stride);
            drop(pass, l, 0, panels, own, nodes->a, nodes->dropped);
        }
    }
}

/* Losses without the missing targets, which y has as 0: there a becomes 0 too, and z so low that
 * its sigmoid is 0, for which every loss is 0. Cross-entropy is 0 for y = 0 whatever a is, and
 * softmax needs all of z. */
static void
masked_losses(const struct bp_pass *pass, struct bp_rows own)
{
    enum { SIGMOID_IS_ZERO = -10000 };
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_nodes *last = &ws->nodes[net->count - 1];
    const size_t at = own.first * net->kernels->panel;
    const bp_real *a = last->a, *z = last->z;

    if (net->loss != BP_CROSS_ENTROPY) {
        a = z = ws->present;
        fill_missing(pass, own, net->fused ? last->z : last->a, net->fused ? SIGMOID_IS_ZERO : 0,
                     ws->present);
    }
    bp_apply_loss(net, own.count, net->fused ? bp_at(net, z, at) : NULL, bp_at(net, a, at),
                  bp_at(net, ws->y, at), ws->stride, ws->losses + own.first);
}

void
bp_losses(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_nodes *last = &ws->nodes[net->count - 1];
    const struct bp_rows own = own_rows(pass);
    const size_t outputs = net->layers[net->count - 1].outputs;
    const size_t at = own.first * net->kernels->panel;
    const bp_real *a = bp_at(net, last->a, at), *y = bp_at(net, ws->y, at);

    if (pass->masked)
        masked_losses(pass, own);
    else
        bp_apply_loss(net, own.count, net->fused ? bp_at(net, last->z, at) : NULL, a, y, ws->stride,
                      ws->losses + own.first);
    /* a NaN is no class, neither as an output nor as a target: such a sample is never right */
    net->kernels->classify(own.count, outputs, a, ws->stride, -1, ws->classes + own.first);
    net->kernels->classify(own.count, outputs, y, ws->stride, -2, ws->wanted + own.first);
}

/* delta = dC_da · g'(z), in panels [first, last) and rows `rows` */
static void
multiply_by_slope(const struct bp_pass *pass, size_t l, size_t first, size_t last,
                  struct bp_rows rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_nodes *nodes = &pass->ws->nodes[l];
    const size_t at = first * pass->ws->stride + rows.first * net->kernels->panel;

    drop(pass, l, first, last, rows, nodes->dC_da, nodes->dC_da);
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
    const struct bp_rows own = own_rows(pass);
    const size_t at = own.first * net->kernels->panel;

    drop(pass, l, 0, bp_panels(net, net->layers[l].outputs), own, nodes->dC_da, nodes->dC_da);
    net->kernels->softmax_delta(own.count, net->layers[l].outputs, bp_at(net, nodes->a, at),
                                bp_at(net, nodes->dC_da, at), bp_at(net, nodes->delta, at),
                                pass->ws->stride);
}

void
bp_delta_of_outputs(const struct bp_pass *pass)
{
    const size_t l = pass->net->count - 1;

    if (pass->net->layers[l].activation == BP_SOFTMAX)
        multiply_by_jacobian(pass, l);
    else
        multiply_by_slope(pass, l, 0, bp_panels(pass->net, pass->net->layers[l].outputs),
                          own_rows(pass));
}

void
bp_output_delta(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t l = net->count - 1, outputs = net->layers[l].outputs;
    const size_t panels = bp_panels(net, outputs);
    const struct bp_nodes *nodes = &ws->nodes[l];
    const struct bp_rows own = own_rows(pass);
    const size_t at = own.first * net->kernels->panel;
    const bp_real *a = bp_at(net, nodes->a, at), *y = bp_at(net, ws->y, at);
    bp_real *dC_da = bp_at(net, nodes->dC_da, at), *delta = bp_at(net, nodes->delta, at);

    if (!net->fused || nodes->dC_da != nodes->delta)
        bp_apply_loss_derivative(net, own.count, a, y, dC_da, ws->stride);
    if (pass->masked && !net->fused)
        fill_missing(pass, own, nodes->dC_da, 0, nodes->dC_da);
    if (net->fused)
        net->kernels->fused_delta(net->loss, own.count, outputs, a, y, delta, ws->stride);
    else
        bp_delta_of_outputs(pass);
    if (pass->masked && net->fused && net->loss == BP_BINARY_CROSS_ENTROPY)
        fill_missing(pass, own, nodes->delta, 0, nodes->delta);
    net->kernels->scale_rows(own.count, panels, ws->factors + own.first, delta, ws->stride);
}

/* The optimizer's rule on `count` packed parameters at w. */
static void
optimize(const struct bp_pass *pass, const struct bp_update *update, bp_real *w, size_t count,
         const bp_real *gradient)
{
    const size_t size = pass->net->kernels->size;
    const size_t at = (size_t)((char *)w - (char *)pass->parameters.numbers) / size;

    bp_optimize(pass->net, update->rule, pass->parameters.numbers, update->state, at, count, gradient);
}

/* Whether sums are added to what is there. */
static bool
adds(const struct bp_update *update)
{
    return update->what == BP_DESCEND || update->add;
}

/* this thread's place for a gradient that is used at once */
static bp_real *
gradient_chunk(const struct bp_pass *pass)
{
    return bp_at(pass->net, pass->ws->gradient_chunks, pass->me * bp_gradient_chunk(pass->net));
}

/* What is left of another panel's gradient does not become the gradient of pads. */
static void
clear_pads(const struct bp_network *net, bp_real *panels, size_t columns, size_t stride)
{
    const size_t panel = net->kernels->panel;

    if (columns % panel > 0)
        memset(bp_at(net, panels, columns / panel * stride), 0, stride * net->kernels->size);
}

/* Panels of inputs k and of outputs j: a part of a layer's weights. */
struct part {
    size_t k_first, k_last, j_first, j_last;
};

/* The optimizer's rule on rows k ... k + outer.rows - 1 of panels [q, q + outer.columns / P) of layer
 * l's weights, whose gradient is in outer.c. */
static void
optimize_chunk(const struct bp_pass *pass, size_t l, size_t k, size_t q, const struct bp_outer *outer,
               const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const size_t panel = net->kernels->panel;

    for (size_t i = 0; i < bp_panels(net, outer->columns); i++) {
        const size_t left = outer->columns - i * panel;
        bp_real *w = bp_at(net, weights.w, (q + i) * weights.stride + k * panel);
        bp_real *gradient = bp_at(net, outer->c, i * outer->c_stride);
        if (layer->l1 != 0 || layer->l2 != 0)
            net->kernels->penalize(outer->rows, left < panel ? left : panel, layer->l1, layer->l2, w,
                                   panel, gradient, panel);
        optimize(pass, update, w, outer->rows * panel, gradient);
    }
}

/* The gradient of a part of layer l's weights, and what is to be done with it. */
static void
update_weights(const struct bp_pass *pass, size_t l, struct part part,
               const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = kernels->panel, first = part.k_first * panel;
    const size_t k_end = end_of(net, part.k_last, net->layers[l].inputs);
    const size_t j_end = end_of(net, part.j_last, net->layers[l].outputs);
    const bp_real *a_prev = input_of(pass, l);
    const struct bp_vector target = update->what == BP_STORE ? update->gradient : pass->parameters;
    const struct bp_weights weights = bp_layer_weights(net, l, target);
    const bool ahead = l == 0 && pass->ahead_rows > 0;
    struct bp_outer outer = {
        .rows = k_end - first,
        .columns = j_end - part.j_first * panel,
        .depth = pass->rows,
        .a = bp_at(net, a_prev, part.k_first * ws->stride),
        .a_stride = ws->stride,
        .delta = bp_at(net, ws->nodes[l].delta, part.j_first * ws->stride),
        .delta_stride = ws->stride,
        .c = bp_at(net, weights.w, part.j_first * weights.stride + first * weights.row),
        .c_row = weights.row,
        .c_stride = weights.stride,
        .add = adds(update),
        .ahead = ahead ? pass->ahead : NULL,
        .ahead_rows = pass->ahead_rows,
        .ahead_bytes = pass->ahead_bytes * panel,
        .ahead_at = pass->ahead_bytes * first,
    };

    if (update->what != BP_OPTIMIZE) {
        kernels->outer(&outer);
        return;
    }
    /* chunk by chunk, so that the gradient never leaves the nearest cache */
    outer.c = gradient_chunk(pass);
    outer.c_row = panel;
    outer.c_stride = BP_GRADIENT_ROWS * panel;
    for (size_t q = part.j_first; q < part.j_last; q += BP_GRADIENT_PANELS) {
        const size_t left = j_end - q * panel, most = BP_GRADIENT_PANELS * panel;
        outer.columns = left < most ? left : most;
        outer.delta = bp_at(net, ws->nodes[l].delta, q * ws->stride);
        outer.ahead = ahead && left <= most ? pass->ahead : NULL;
        clear_pads(net, outer.c, outer.columns, outer.c_stride);
        for (size_t k = first; k < k_end; k += BP_GRADIENT_ROWS) {
            outer.ahead_at = k * pass->ahead_bytes;
            outer.rows = k_end - k < BP_GRADIENT_ROWS ? k_end - k : BP_GRADIENT_ROWS;
            outer.a = bp_at(net, a_prev, k / panel * ws->stride);
            kernels->outer(&outer);
            optimize_chunk(pass, l, k, q, &outer, update);
        }
    }
}

/* The bias of layer l in panels [first, last) */
static void
update_bias(const struct bp_pass *pass, size_t l, size_t first, size_t last,
            const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const size_t panel = kernels->panel, outputs = net->layers[l].outputs;
    const struct bp_vector target = update->what == BP_STORE ? update->gradient : pass->parameters;
    bp_real *bias = bp_layer_weights(net, l, target).bias;

    if (!bias || first == last)
        return;
    const size_t end = end_of(net, last, outputs);
    const bp_real *delta = bp_at(net, pass->ws->nodes[l].delta, first * pass->ws->stride);
    if (update->what != BP_OPTIMIZE) {
        kernels->column_sums(pass->rows, end - first * panel, delta, pass->ws->stride, adds(update),
                             bp_at(net, bias, first * panel));
        return;
    }
    bp_real *chunk = gradient_chunk(pass);
    for (size_t q = first; q < last; q++) {
        const size_t width = end - q * panel < panel ? end - q * panel : panel;
        clear_pads(net, chunk, width, panel);
        kernels->column_sums(pass->rows, width,
                             bp_at(net, pass->ws->nodes[l].delta, q * pass->ws->stride),
                             pass->ws->stride, false, chunk);
        optimize(pass, update, bp_at(net, bias, q * panel), width, chunk);
    }
}

/* this thread's share of part i of `parts` of `count` */
static void
share_of_part(const struct bp_pass *pass, size_t count, size_t parts, size_t i, size_t *first,
              size_t *last)
{
    size_t begin, end;

    bp_share(count, parts, i, &begin, &end);
    bp_share(end - begin, pass->threads, pass->me, first, last);
    *first += begin;
    *last += begin;
}

/* This thread's share of part i of layer l's parameters: nodes j, and rows k of W or, by columns, these
 * nodes' weights. */
static void
update_layer(const struct bp_pass *pass, size_t l, size_t parts, size_t i, bool columns,
             const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const size_t inputs = bp_panels(net, net->layers[l].inputs);
    const size_t outputs = bp_panels(net, net->layers[l].outputs);
    struct part part = {.k_last = inputs, .j_last = outputs};
    size_t first, last;

    share_of_part(pass, outputs, parts, i, &first, &last);
    if (columns) {
        part.j_first = first;
        part.j_last = last;
    }
    else
        share_of_part(pass, inputs, parts, i, &part.k_first, &part.k_last);
    if (part.k_first < part.k_last)
        update_weights(pass, l, part, update);
    update_bias(pass, l, first, last, update);
}

void
bp_update_part(const struct bp_pass *pass, size_t parts, size_t i, const struct bp_update *update)
{
    for (size_t l = 0; l < pass->net->count; l++)
        update_layer(pass, l, parts, i, false, update);
}

/* ∂C/∂a_k^(l-1) = Σ_j delta_j w_jk for the nodes k in panels [first, last) of the layer before,
 * turned round: [rows / P][k][P] */
static void
propagate(const struct bp_pass *pass, size_t l, const bp_real *delta_turned, size_t first,
          size_t last)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_workspace *ws = pass->ws;
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const size_t panel = net->kernels->panel;
    const size_t k_end = end_of(net, last, layer->inputs);

    /* some rows of W at a time: all of their columns then stay cached for every panel of samples */
    for (size_t k = first * panel; k < k_end; k += BP_CHUNK_ROWS)
        product_in_blocks(pass, (struct bp_product){
                                    .rows = k_end - k < BP_CHUNK_ROWS ? k_end - k : BP_CHUNK_ROWS,
                                    .columns = pass->rows,
                                    .depth = layer->outputs,
                                    .a = bp_at(net, weights.w, k * weights.row),
                                    .a_row = weights.row,
                                    .a_stride = weights.stride,
                                    .b = delta_turned,
                                    .b_row = panel,
                                    .b_stride = ws->turned_stride,
                                    .c = bp_at(net, ws->dC_da_turned, k * panel),
                                    .c_stride = ws->turned_stride,
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
                                bp_at(net, ws->dC_da_turned, q * panel * panel), ws->turned_stride,
                                bp_at(net, dC_da, q * ws->stride), ws->stride);
    }
}

void
bp_backward(const struct bp_pass *pass, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel;

    for (size_t l = net->count; l-- > 0;) {
        const struct bp_layer *layer = &net->layers[l];
        const size_t inputs = bp_panels(net, layer->inputs), outputs = bp_panels(net, layer->outputs);
        const bool carry = l > 0 || update->inputs;
        bp_real *delta_turned = ws->delta_turned[l % 2]; /* others may still read the layer above's */
        size_t first, last, k_first, k_last;

        bp_share(outputs, pass->threads, pass->me, &first, &last);
        if (carry && first < last) {
            net->kernels->transpose(
                pass->rows, end_of(net, last, layer->outputs) - first * panel, bp_at(net, ws->nodes[l].delta, first * ws->stride),
                ws->stride, bp_at(net, delta_turned, first * panel * panel), ws->turned_stride);
        }
        bp_meet(pass->team); /* all of delta is there */

        bp_share(inputs, pass->threads, pass->me, &k_first, &k_last);
        if (carry)
            propagate(pass, l, delta_turned, k_first, k_last);
        if (update->what != BP_NO_GRADIENT)
            update_layer(pass, l, 1, 0, by_columns(pass, l, carry), update);
        if (carry)
            turn_back(pass, layer->inputs, k_first, k_last,
                      l > 0 ? ws->nodes[l - 1].dC_da : ws->dC_dx);
        if (l == 0)
            continue;
        /* the share of columns k is the share of outputs of the layer before: no need to meet */
        if (net->layers[l - 1].activation == BP_SOFTMAX) {
            bp_meet(pass->team);
            multiply_by_jacobian(pass, l - 1);
            bp_meet(pass->team);
        }
        else
            multiply_by_slope(pass, l - 1, k_first, k_last,
                              (struct bp_rows){NULL, 0, pass->rows});
    }
}
