#include "forward.h"

#include "core/network/functions.h"
#include "division.h"
#include "rounded.h"
#include "sparse_layer.h"

/* Part `number` of z, in panels from `first` on and rows from `row` on */
static inline struct bp_place
place_of_z(const struct bp_pass *pass, size_t l, size_t number, size_t first, size_t row)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t at = first * ws->stride + row * net->kernels->panel;

    return bp_place_of_part(pass, number, (struct bp_place){bp_at(net, ws->nodes[l].z, at), ws->stride},
                            ws->stride, at);
}

/* z = W a_prev + b, of panels [first, last) and rows `rows`, to be put there */
static inline struct bp_product
sums_of(const struct bp_pass *pass, size_t l, size_t first, size_t last, const struct bp_rows *rows,
        struct bp_place place)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const size_t panel = net->kernels->panel;

    return (struct bp_product){
        .rows = rows->count,
        .columns = bp_end_of(net, last, layer->outputs) - first * panel,
        .depth = layer->inputs,
        .a = bp_const_at(net, bp_input_of(ws, l), rows->first * panel),
        .a_row = panel,
        .a_stride = ws->stride,
        .b = bp_at(net, weights.w, first * weights.stride),
        .b_row = weights.row,
        .b_stride = weights.stride,
        .c = place.numbers,
        .c_stride = place.stride,
        .start = weights.bias ? bp_at(net, weights.bias, first * panel) : NULL,
    };
}

/* What follows when z is there, in panels [first, last) and rows `rows` */
static inline void
activate_share(const struct bp_pass *pass, size_t l, size_t first, size_t last, const struct bp_rows *rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t at = first * ws->stride + rows->first * net->kernels->panel;

    bp_apply_activation(net, l, first, last, rows->count, bp_at(net, ws->nodes[l].z, at),
                        bp_at(net, ws->nodes[l].a, at), ws->stride);
    if (net->layers[l].activation == BP_SOFTMAX)
        return;
    if (bp_drops(pass, l))
        bp_drop_nodes(pass, l, first, last, *rows, ws->nodes[l].a, ws->nodes[l].dropped);
    if (pass->mixed)
        bp_round_input(pass, l + 1, first, last, *rows);
}

/* z, each sum whole and in order, in panels [first, last) and rows `rows` */
static inline void
sum_in_order(const struct bp_pass *pass, size_t l, size_t first, size_t last, const struct bp_rows *rows)
{
    struct bp_product sums =
        sums_of(pass, l, first, last, rows, place_of_z(pass, l, 0, first, rows->first));

    bp_product_over_depth(pass, &sums);
}

/* A part of z of a large layer, in panels [first, last) and rows `rows` */
static void
sum_share(const struct bp_pass *pass, size_t l, const struct bp_division *division,
          struct bp_part_of_sum part, size_t first, size_t last, const struct bp_rows *rows)
{
    const struct bp_place place = place_of_z(pass, l, part.number, first, rows->first);
    const struct bp_product sums = sums_of(pass, l, first, last, rows, place);

    bp_sum_quarters(pass, division, part, &sums);
}

/* z and a of one layer: the share of it that lies in panels [first, last) and rows `rows` */
static void
forward_share(const struct bp_pass *pass, size_t l, const struct bp_division *division, size_t first,
              size_t last, const struct bp_rows *rows)
{
    const struct bp_workspace *ws = pass->ws;

    if (l == 0 && ws->scratch.nonzeros)
        bp_sparse_sums(pass, bp_layer_weights(pass->net, 0, pass->parameters), first, last, *rows,
                       place_of_z(pass, 0, 0, first, rows->first).numbers, ws->stride);
    else if (pass->mixed)
        bp_rounded_sums(pass, l, first, last, *rows);
    else if (division->quarters == 1)
        sum_in_order(pass, l, first, last, rows);
    else
        sum_share(pass, l, division, (struct bp_part_of_sum){1, 0}, first, last, rows);
    activate_share(pass, l, first, last, rows);
}

/* z and a of one layer, when its parts are there */
static void
add_parts(const struct bp_pass *pass, size_t l, size_t parts)
{
    const struct bp_rows all = {NULL, 0, pass->rows};
    struct bp_pieces pieces = bp_divide(pass, bp_panels(pass->net, pass->net->layers[l].outputs), 1);
    size_t first, last;

    while (bp_next_piece(&pieces, &first, &last)) {
        struct bp_place places[BP_QUARTERS];
        for (size_t i = 0; i < parts; i++)
            places[i] = place_of_z(pass, l, i, first, 0);
        bp_add_places(pass->net, parts, places, last - first, pass->rows);
        activate_share(pass, l, first, last, &all);
    }
}

static void
forward_by_columns(const struct bp_pass *pass, size_t l, const struct bp_division *division)
{
    enum { GRAIN = 3 }; /* of a tile, at most */
    const struct bp_rows all = {NULL, 0, pass->rows};
    const size_t parts = division->grid.rows, panels = bp_panels(pass->net, pass->net->layers[l].outputs);
    struct bp_pieces pieces = bp_divide_forward(pass, division, panels, GRAIN);
    size_t first, last;

    if (parts == 1) {
        const size_t together = bp_until_a_look(pass, BP_OWN_PANELS, panels);
        while (bp_next_piece(&pieces, &first, &last))
            for (size_t q = first; q < last && !bp_is_given_up(pass); q += together)
                forward_share(pass, l, division, q, bp_smaller(last, q + together), &all);
        return;
    }
    while (bp_next_piece(&pieces, &first, &last))
        sum_share(pass, l, division, (struct bp_part_of_sum){parts, pieces.group}, first, last, &all);
    bp_meet(pass->team);
    add_parts(pass, l, parts);
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
        const struct bp_division division = bp_division_of(pass, l);

        if (l > 0)
            bp_meet(pass->team);
        if (panels >= pass->threads) /* by columns, or, where there are too few, by rows */
            forward_by_columns(pass, l, &division);
        else
            forward_share(pass, l, &division, 0, panels, &own);
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
