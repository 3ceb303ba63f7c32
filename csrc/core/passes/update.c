#include "update.h"

#include <string.h>

#include "core/network/freedom.h"
#include "rounded.h"

/* The optimizer's rule on `count` parameters at w. */
static void
optimize(const struct bp_pass *pass, const struct bp_update *update, bp_real *w, size_t count,
         const bp_real *gradient)
{
    const size_t size = pass->net->kernels->size;
    const size_t at = (size_t)((char *)w - (char *)pass->parameters.numbers) / size;

    bp_optimize(pass->net, update->rule, pass->parameters, update->state, at, count, gradient);
}

/* Whether sums are added to what is there. */
static bool
adds(const struct bp_update *update)
{
    return update->what == BP_DESCEND || update->add;
}

bp_real *
bp_gradient_chunk_of(const struct bp_pass *pass, size_t i)
{
    const struct bp_scratch *scratch = &pass->ws->scratch;
    return bp_at(pass->net, scratch->gradient_chunks, (3 * pass->me + i) * scratch->gradient_chunk);
}

/* What is left of another panel's gradient does not become the gradient of pads. */
static void
clear_pads(const struct bp_network *net, bp_real *panels, size_t columns, size_t stride)
{
    const size_t panel = net->kernels->panel;

    if (columns % panel > 0)
        memset(bp_at(net, panels, columns / panel * stride), 0, stride * net->kernels->size);
}

/* Of rows k ... and panels q ... of layer l's gradient, in outer.c. */
static void
mask_chunk(const struct bp_network *net, size_t l, size_t k, size_t q, const struct bp_outer *outer)
{
    const size_t panel = net->kernels->panel;

    bp_mask_part(net, l, k, outer->rows, q * panel, outer->columns,
                 (struct bp_weights){outer->c, panel, outer->c_stride, NULL});
}

/* What masks and penalties make of a gradient. */
static void
restrain_rows(const struct bp_pass *pass, const struct bp_gradient_rows *g)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[g->l];
    const struct bp_weights w = bp_layer_weights(net, g->l, pass->parameters);
    const size_t panel = net->kernels->panel, q = g->first / panel;
    const bool penalized = (layer->l1 != 0 || layer->l2 != 0) && layer->freedom.rate != 0;

    for (size_t i = 0; (penalized || layer->freedom.mask) && i < g->count; i++) {
        bp_real *row = bp_at(net, g->numbers, i * g->row);
        bp_mask_part(net, g->l, g->k[i], 1, g->first, g->columns,
                     (struct bp_weights){row, g->row, panel, NULL});
        for (size_t j = 0; penalized && j < g->columns; j += panel) {
            const size_t left = g->columns - j;
            net->kernels->penalize(
                1, left < panel ? left : panel, layer->l1, layer->l2,
                bp_at(net, w.w, (q + j / panel) * w.stride + g->k[i] * w.row), w.row,
                bp_at(net, row, j), g->row);
        }
    }
}

void
bp_optimize_rows(const struct bp_pass *pass, const struct bp_gradient_rows *g,
                 const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[g->l];
    const bool packed = pass->parameters.packed;
    const struct bp_weights w = bp_layer_weights(net, g->l, pass->parameters);
    const size_t begin = packed ? layer->packed_weights_at : layer->weights_at;
    const size_t panel = net->kernels->panel, piece = packed ? panel : g->columns;
    size_t at[BP_GRADIENT_ROWS];

    restrain_rows(pass, g);
    for (size_t j = 0; j < g->columns; j += piece) { /* of a row, what lies in one piece */
        const size_t left = g->columns - j, width = left < piece ? left : piece;
        bp_real *gradient = bp_at(net, g->numbers, j);
        for (size_t i = 0; i < g->count; i++)
            at[i] = begin + (g->first + j) / panel * w.stride + g->k[i] * w.row;
        if (!net->restraint.rated)
            net->kernels->optimize_rows(update->rule, g->count, width, at, pass->parameters.numbers,
                                        gradient, g->row, update->state);
        for (size_t i = 0; net->restraint.rated && i < g->count; i++)
            bp_optimize(net, update->rule, pass->parameters, update->state, at[i], width,
                        bp_at(net, gradient, i * g->row));
    }
}

/* The optimizer's rule on rows k ... k + outer.rows - 1 of panels [q, q + outer.columns / P) of
 * layer l's packed weights, whose gradient is in outer.c. */
static void
optimize_panels(const struct bp_pass *pass, size_t l, size_t k, size_t q,
                const struct bp_outer *outer, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const size_t panel = net->kernels->panel;

    mask_chunk(net, l, k, q, outer);
    for (size_t i = 0; i < bp_panels(net, outer->columns); i++) {
        const size_t left = outer->columns - i * panel;
        bp_real *w = bp_at(net, weights.w, (q + i) * weights.stride + k * panel);
        bp_real *gradient = bp_at(net, outer->c, i * outer->c_stride);
        if ((layer->l1 != 0 || layer->l2 != 0) && layer->freedom.rate != 0)
            net->kernels->penalize(outer->rows, left < panel ? left : panel, layer->l1, layer->l2,
                                   w, panel, gradient, panel);
        optimize(pass, update, w, outer->rows * panel, gradient);
    }
}

/* The same for weights in storage order. */
static void
optimize_in_place(const struct bp_pass *pass, size_t l, size_t first_k, size_t q,
                  const struct bp_outer *outer, const struct bp_update *update)
{
    const size_t panel = pass->net->kernels->panel;
    size_t k[BP_GRADIENT_ROWS];

    for (size_t r = 0; r < outer->rows; r++)
        k[r] = first_k + r;
    for (size_t i = 0; i < bp_panels(pass->net, outer->columns); i++) {
        const size_t left = outer->columns - i * panel;
        bp_optimize_rows(pass,
                         &(struct bp_gradient_rows){
                             .l = l,
                             .first = (q + i) * panel,
                             .columns = left < panel ? left : panel,
                             .count = outer->rows,
                             .k = k,
                             .numbers = bp_at(pass->net, outer->c, i * outer->c_stride),
                             .row = panel,
                         },
                         update);
    }
}

/* Rows k ... and panels q ... of layer l's gradient, in outer.c: to the optimizer, into what is
 * stored, or added to it. */
static void
use_chunk(const struct bp_pass *pass, size_t l, size_t k, size_t q, const struct bp_outer *outer,
          const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_vector target = update->what == BP_STORE ? update->gradient : pass->parameters;
    const struct bp_weights weights = bp_layer_weights(net, l, target);
    bp_real *to = bp_at(net, weights.w, q * weights.stride + k * weights.row);

    if (update->what == BP_OPTIMIZE) {
        (pass->parameters.packed ? optimize_panels : optimize_in_place)(pass, l, k, q, outer, update);
        return;
    }
    mask_chunk(net, l, k, q, outer);
    bp_put(net, outer->rows, outer->columns, outer->c, outer->c_stride, adds(update), to,
           weights.row, weights.stride);
}

/* outer->c, rows k ... and panels q ... of layer l's weights, = its sum over the batch, or += */
static void
sum_outer(const struct bp_pass *pass, size_t l, size_t k, size_t q, const struct bp_outer *outer,
          bp_real *const spare[2])
{
    if (pass->mixed)
        bp_rounded_outer(pass, l, k, q, outer);
    else
        bp_sum_outer(pass, outer, spare);
}

/* Columns of `whole` from panel q on, `panels` panels of them or what is left */
static struct bp_outer
columns_of(const struct bp_network *net, const struct bp_outer *whole, size_t q, size_t panels)
{
    const size_t panel = net->kernels->panel, left = whole->columns - q * panel;
    struct bp_outer outer = *whole;

    outer.columns = bp_smaller(left, panels * panel);
    outer.delta = bp_const_at(net, whole->delta, q * whole->delta_stride);
    outer.c = bp_at(net, whole->c, q * whole->c_stride);
    outer.ahead = left <= panels * panel ? whole->ahead : NULL; /* once */
    return outer;
}

/* `whole`, rows k ... and panels q ... of layer l's weights or of their gradient, where it is to be: at once, or,
 * where it may be given up, some panels at a time. */
static void
sum_in_place(const struct bp_pass *pass, size_t l, size_t k, size_t q, const struct bp_outer *whole,
             bp_real *const spare[2])
{
    const struct bp_network *net = pass->net;
    const size_t panels = bp_panels(net, whole->columns);
    const size_t together = bp_until_a_look(pass, BP_GRADIENT_PANELS, panels);

    for (size_t i = 0; i < panels && !bp_is_given_up(pass); i += together) {
        const struct bp_outer outer = columns_of(net, whole, i, together);
        sum_outer(pass, l, k, q + i, &outer, spare);
        if (net->layers[l].freedom.mask)
            bp_mask_part(net, l, k, outer.rows, (q + i) * net->kernels->panel, outer.columns,
                         (struct bp_weights){outer.c, outer.c_row, outer.c_stride, NULL});
    }
}

void
bp_update_weights(const struct bp_pass *pass, size_t l, const struct bp_part *part,
                  const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = kernels->panel, first = part->k_first * panel;
    const size_t k_end = bp_end_of(net, part->k_last, net->layers[l].inputs);
    const size_t j_end = bp_end_of(net, part->j_last, net->layers[l].outputs);
    const bp_real *a_prev = bp_input_of(pass->ws, l);
    const struct bp_vector target = update->what == BP_STORE ? update->gradient : pass->parameters;
    const struct bp_weights weights = bp_layer_weights(net, l, target);
    const bool ahead = l == 0 && pass->ahead_rows > 0;
    bp_real *const spare[2] = {bp_gradient_chunk_of(pass, 1), bp_gradient_chunk_of(pass, 2)};
    struct bp_outer outer = {
        .rows = k_end - first,
        .columns = j_end - part->j_first * panel,
        .depth = pass->rows,
        .a = bp_const_at(net, a_prev, part->k_first * ws->stride),
        .a_stride = ws->stride,
        .delta = bp_at(net, ws->nodes[l].delta, part->j_first * ws->stride),
        .delta_stride = ws->stride,
        .c = bp_at(net, weights.w, part->j_first * weights.stride + first * weights.row),
        .c_row = weights.row,
        .c_stride = weights.stride,
        .add = adds(update),
        .ahead = ahead ? pass->ahead : NULL,
        .ahead_rows = pass->ahead_rows,
        .ahead_bytes = pass->ahead_bytes * panel,
        .ahead_at = pass->ahead_bytes * first,
    };

    if (update->moving && net->layers[l].freedom.rate == 0)
        return;
    if (update->what != BP_OPTIMIZE && pass->sums.block == 0) {
        sum_in_place(pass, l, first, part->j_first, &outer, spare);
        return;
    }
    /* chunk by chunk, so that the gradient never leaves the nearest cache */
    outer.c = bp_gradient_chunk_of(pass, 0);
    outer.add = false;
    outer.c_row = panel;
    outer.c_stride = BP_GRADIENT_ROWS * panel;
    for (size_t q = part->j_first; q < part->j_last; q += BP_GRADIENT_PANELS) {
        const size_t left = j_end - q * panel, most = BP_GRADIENT_PANELS * panel;
        outer.columns = left < most ? left : most;
        outer.delta = bp_at(net, ws->nodes[l].delta, q * ws->stride);
        outer.ahead = ahead && left <= most ? pass->ahead : NULL;
        clear_pads(net, outer.c, outer.columns, outer.c_stride);
        if (pass->sums.block > 0)
            clear_pads(net, spare[1], outer.columns, outer.c_stride);
        for (size_t k = first; k < k_end && !bp_is_given_up(pass); k += BP_GRADIENT_ROWS) {
            outer.ahead_at = k * pass->ahead_bytes;
            outer.rows = k_end - k < BP_GRADIENT_ROWS ? k_end - k : BP_GRADIENT_ROWS;
            outer.a = bp_const_at(net, a_prev, k / panel * ws->stride);
            sum_outer(pass, l, k, q, &outer, spare);
            use_chunk(pass, l, k, q, &outer, update);
        }
    }
}

void
bp_update_bias(const struct bp_pass *pass, size_t l, size_t first, size_t last,
               const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel, outputs = net->layers[l].outputs;
    const struct bp_vector target = update->what == BP_STORE ? update->gradient : pass->parameters;
    bp_real *bias = bp_layer_weights(net, l, target).bias;

    if (!bias || first == last || (update->moving && net->layers[l].freedom.bias_rate == 0))
        return;
    const size_t end = bp_end_of(net, last, outputs);
    const bp_real *delta = bp_at(net, pass->ws->nodes[l].delta, first * pass->ws->stride);
    if (update->what != BP_OPTIMIZE) {
        bp_sum_columns(pass, end - first * panel, delta, pass->ws->stride, adds(update),
                       bp_at(net, bias, first * panel));
        return;
    }
    bp_real *chunk = bp_gradient_chunk_of(pass, 0);
    for (size_t q = first; q < last; q++) {
        const size_t width = end - q * panel < panel ? end - q * panel : panel;
        clear_pads(net, chunk, width, panel);
        bp_sum_columns(pass, width, bp_at(net, pass->ws->nodes[l].delta, q * pass->ws->stride),
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

void
bp_update_part(const struct bp_pass *pass, size_t parts, size_t i, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;

    for (size_t l = 0; l < net->count; l++) {
        const size_t outputs = bp_panels(net, net->layers[l].outputs);
        struct bp_part part = {.j_last = outputs};
        size_t first, last;

        share_of_part(pass, bp_panels(net, net->layers[l].inputs), parts, i, &part.k_first,
                      &part.k_last);
        if (part.k_first < part.k_last)
            bp_update_weights(pass, l, &part, update);
        share_of_part(pass, outputs, parts, i, &first, &last);
        bp_update_bias(pass, l, first, last, update);
    }
}
