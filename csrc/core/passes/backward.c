#include "backward.h"

#include "core/network/functions.h"
#include "division.h"
#include "rounded.h"
#include "sparse_layer.h"

/* Panels of rows k of W that are handed out together, where there are many: those of a chunk. */
enum { ROWS_GRAIN = 8 };

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

/* ∂C/∂a_k of some nodes of the layer before l from k on, turned round, [rows / P][k][P]: part `number` of it */
static struct bp_place
place_of_turned(const struct bp_pass *pass, size_t l, size_t number, size_t k)
{
    const struct bp_network *net = pass->net;
    const struct bp_turned *turned = &pass->ws->turned;
    const size_t panel = net->kernels->panel;
    const struct bp_place sum = {bp_at(net, turned->dC_da, k * panel), turned->stride};

    return bp_place_of_part(pass, number, sum, bp_padded(net->layers[l].inputs) * panel, k * panel);
}

/* A part of ∂C/∂a_k^(l-1) = Σ_j delta_j w_jk for the nodes k in panels [first, last) of the layer before. */
static void
propagate(const struct bp_pass *pass, size_t l, const struct bp_division *division,
          struct bp_part_of_sum part, size_t first, size_t last)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_workspace *ws = pass->ws;
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const size_t panel = net->kernels->panel;
    const size_t k_end = bp_end_of(net, last, layer->inputs);

    /* some rows of W at a time: all of their columns then stay cached for every panel of samples */
    for (size_t k = first * panel; k < k_end; k += BP_CHUNK_ROWS) {
        const struct bp_place place = place_of_turned(pass, l, part.number, k);
        bp_sum_part(pass, division, part,
                    &(struct bp_product){
                        .rows = bp_smaller(k_end - k, BP_CHUNK_ROWS),
                        .columns = pass->rows,
                        .depth = layer->outputs,
                        .a = bp_at(net, weights.w, k * weights.row),
                        .a_row = weights.row,
                        .a_stride = weights.stride,
                        .b = ws->turned.delta[l % 2],
                        .b_row = panel,
                        .b_stride = ws->turned.stride,
                        .c = place.numbers,
                        .c_stride = place.stride,
                    });
    }
}

/* These sums, when their parts are there */
static void
add_parts(const struct bp_pass *pass, size_t l, size_t parts, size_t first, size_t last)
{
    const struct bp_network *net = pass->net;
    const size_t k = first * net->kernels->panel, k_end = bp_end_of(net, last, net->layers[l].inputs);
    struct bp_place places[BP_QUARTERS];

    for (size_t i = 0; i < parts; i++)
        places[i] = place_of_turned(pass, l, i, k);
    bp_add_places(net, parts, places, bp_panels(net, pass->rows), k_end - k);
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

/* How layer l goes back: its delta to the layer before, and its update */
struct way {
    size_t l;
    bool carry;   /* its delta goes on */
    bool rounded; /* its products are of rounded factors */
};

static struct way
way_of(const struct bp_pass *pass, const struct bp_update *update, size_t lowest, size_t l)
{
    return (struct way){
        .l = l,
        .carry = l > lowest || update->inputs,
        .rounded = pass->mixed && !(l == 0 && pass->ws->scratch.nonzeros),
    };
}

/* delta of a layer in panels [first, last), as its products take it */
static void
prepare_delta(const struct bp_pass *pass, const struct way *way, size_t first, size_t last)
{
    if (way->rounded)
        bp_round_delta(pass, way->l, first, last);
    else if (way->carry)
        turn_round(pass, way->l, first, last);
}

/* Rows k of W, in panels [first, last): a part of ∂C/∂a of these nodes, then the update of the weights that it
 * was computed from. */
static void
carry_past_rows(const struct bp_pass *pass, const struct way *way, const struct bp_division *division,
                struct bp_part_of_sum part, size_t first, size_t last, const struct bp_update *update)
{
    const size_t panels = bp_panels(pass->net, pass->net->layers[way->l].outputs);
    const bool sparse = way->l == 0 && pass->ws->scratch.nonzeros;
    struct bp_part weights = {first, last, 0, panels};

    if (pass->mixed)
        bp_rounded_delta_sums(pass, way->l, first, last);
    else
        propagate(pass, way->l, division, part, first, last);
    if (part.count > 1)
        bp_panels_of_part(division, part, panels, &weights.j_first, &weights.j_last);
    if (update->what != BP_NO_GRADIENT && !sparse)
        bp_update_weights(pass, way->l, &weights, update);
}

/* When ∂C/∂a of the nodes in panels [first, last) is there: their delta, as the layer before takes it. */
static inline void
leave_delta(const struct bp_pass *pass, const struct way *way, const struct way *before, size_t first,
            size_t last)
{
    const struct bp_workspace *ws = pass->ws;

    if (!pass->mixed)
        turn_back(pass, pass->net->layers[way->l].inputs, first, last,
                  way->l > 0 ? ws->nodes[way->l - 1].dC_da : ws->dC_dx);
    if (!before)
        return;
    multiply_by_slope(pass, before->l, first, last, (struct bp_rows){NULL, 0, pass->rows});
    prepare_delta(pass, before, first, last);
}

/* The delta of a layer to the layer before, and its update */
static void
carry_back(const struct bp_pass *pass, const struct way *way, const struct way *before,
           const struct bp_update *update)
{
    const struct bp_division division = bp_division_of(pass, way->l);
    const size_t panels = bp_panels(pass->net, pass->net->layers[way->l].inputs);
    const size_t parts = division.grid.columns, together = bp_until_a_look(pass, ROWS_GRAIN, panels);
    struct bp_pieces pieces = bp_divide_backward(pass, &division, panels, ROWS_GRAIN);
    size_t first, last;

    while (bp_next_piece(&pieces, &first, &last)) {
        const struct bp_part_of_sum part = {parts, pieces.group};
        for (size_t q = first; q < last && !bp_is_given_up(pass); q += together) {
            const size_t end = bp_smaller(last, q + together);
            carry_past_rows(pass, way, &division, part, q, end, update);
            if (parts == 1)
                leave_delta(pass, way, before, q, end);
        }
    }
    if (parts == 1)
        return;
    bp_meet(pass->team);
    pieces = bp_divide(pass, panels, 1);
    while (bp_next_piece(&pieces, &first, &last)) {
        add_parts(pass, way->l, parts, first, last);
        leave_delta(pass, way, before, first, last);
    }
}

/* The update of weights that no delta is carried past: pieces of rows k, of these columns or of all */
static void
update_alone(const struct bp_pass *pass, const struct way *way, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const size_t inputs = bp_panels(net, net->layers[way->l].inputs),
                 outputs = bp_panels(net, net->layers[way->l].outputs);
    const bool columns = bp_by_columns(pass, way->l, false);
    /* by columns each thread's share is all rows, of its columns */
    struct bp_pieces pieces =
        bp_divide(pass, columns ? inputs * pass->threads : inputs, ROWS_GRAIN);
    size_t first, last;

    while (bp_next_piece(&pieces, &first, &last)) {
        struct bp_part part = {first, last, 0, outputs};
        if (columns) {
            const size_t whose = first / inputs;
            part.k_first -= whose * inputs;
            part.k_last -= whose * inputs;
            bp_share(outputs, pass->threads, whose, &part.j_first, &part.j_last);
        }
        bp_update_weights(pass, way->l, &part, update);
    }
}

/* Layer l, when all of its delta is there */
static void
backward_layer(const struct bp_pass *pass, const struct way *way, const struct way *before,
               const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const size_t l = way->l;
    size_t first, last;

    if (way->carry)
        carry_back(pass, way, before, update);
    if (update->what == BP_NO_GRADIENT)
        return;
    if (l == 0 && pass->ws->scratch.nonzeros) {
        bp_sparse_update(pass, update);
        return;
    }
    if (!way->carry)
        update_alone(pass, way, update);
    bp_share(bp_panels(net, net->layers[l].outputs), pass->threads, pass->me, &first, &last);
    bp_update_bias(pass, l, first, last, update);
}

void
bp_backward(const struct bp_pass *pass, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const bool sparse = pass->ws->scratch.nonzeros != NULL;
    const size_t lowest = update->moving && !update->inputs ? net->restraint.lowest : 0;
    bool prepared = false; /* delta is, as the layer after left it */

    if (sparse && update->what != BP_NO_GRADIENT)
        bp_group_nonzeros(pass);
    for (size_t l = net->count; l-- > lowest;) {
        const struct way way = way_of(pass, update, lowest, l);
        const bool jacobian = l > 0 && net->layers[l - 1].activation == BP_SOFTMAX;
        const struct way before = way_of(pass, update, lowest, l > 0 ? l - 1 : 0);
        size_t first, last;

        if (!prepared) {
            bp_share(bp_panels(net, net->layers[l].outputs), pass->threads, pass->me, &first,
                     &last);
            prepare_delta(pass, &way, first, last);
        }
        if (way.rounded) {
            bp_share(bp_panels(net, net->layers[l].inputs), pass->threads, pass->me, &first, &last);
            bp_round_turned(pass, l, first, last);
        }
        bp_meet(pass->team); /* all of delta is there */

        prepared = l > 0 && way.carry && !jacobian;
        backward_layer(pass, &way, prepared ? &before : NULL, update);
        if (l > 0 && way.carry && jacobian) {
            bp_meet(pass->team);
            multiply_by_jacobian(pass, l - 1);
            bp_meet(pass->team);
        }
    }
}
