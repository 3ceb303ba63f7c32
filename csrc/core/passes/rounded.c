#include "rounded.h"

#include "core/base/sizes.h"

void
bp_round_input(const struct bp_pass *pass, size_t l, size_t first, size_t last, struct bp_rows rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;

    if (!pass->mixed || l == net->count)
        return;
    pass->mixed->left(
        &(struct bp_rounding){
            .rows = rows.count,
            .columns = net->layers[l].inputs,
            .m = bp_const_at(net, bp_input_of(ws, l), rows.first * net->kernels->panel),
            .stride = ws->stride,
            .out = ws->rounded.rows[l % 2] + rows.first * BP_STRIP,
            .out_stride = ws->rounded.rows_stride,
        },
        first, last);
}

void
bp_round_delta(const struct bp_pass *pass, size_t l, size_t first, size_t last)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    struct bp_rounding rounding = {
        .rows = pass->rows,
        .columns = net->layers[l].outputs,
        .m = ws->nodes[l].delta,
        .stride = ws->stride,
        .out = ws->rounded.rows[l % 2],
        .out_stride = ws->rounded.rows_stride,
    };

    if (first == last)
        return;
    if (l > 0) /* nobody asks for ∂C/∂x while training */
        pass->mixed->left(&rounding, first, last);
    rounding.m = rounding.m + first * ws->stride;
    rounding.columns = bp_end_of(net, last, rounding.columns) - first * net->kernels->panel;
    rounding.out = ws->rounded.delta[l % 2] + first * ws->rounded.delta_stride;
    rounding.out_stride = ws->rounded.delta_stride;
    pass->mixed->right(&rounding);
}

void
bp_round_turned(const struct bp_pass *pass, size_t l, size_t first, size_t last)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel;

    if (first == last)
        return;
    pass->mixed->left_turned(&(struct bp_rounding){
        .rows = pass->rows,
        .columns = bp_end_of(net, last, net->layers[l].inputs) - first * panel,
        .m = bp_const_at(net, bp_input_of(ws, l), first * ws->stride),
        .stride = ws->stride,
        .out = ws->rounded.turned[l % 2] + first * panel * BP_STRIP,
        .out_stride = ws->rounded.turned_stride,
    });
}

/* this thread's place for a piece of weights */
static bp_bfloat16 *
piece_of(const struct bp_pass *pass)
{
    return pass->ws->rounded.pieces + pass->me * BP_PIECE;
}

/* Weights as the right factor of a product: as they are, their inputs k being what is summed over,
 * or turned, their outputs j. */
struct factor {
    const float *w; /* at the product's first column */
    size_t stride;
    bool turned;
};

/* of a factor: `columns` columns from `column` on, and `terms` terms from `term` on */
struct piece {
    size_t column, columns, term, terms;
};

enum { P = BP_PANEL(float) };

static const float *
beginning_of(const struct factor *factor, const struct piece *piece)
{
    if (factor->turned)
        return factor->w + piece->term / P * factor->stride + piece->column * P;
    return factor->w + piece->column / P * factor->stride + piece->term * P;
}

static void
round_piece(const struct bp_pass *pass, const struct factor *factor, const struct piece *piece)
{
    const struct bp_rounding rounding = {
        .rows = factor->turned ? piece->columns : piece->terms,
        .columns = factor->turned ? piece->terms : piece->columns,
        .m = beginning_of(factor, piece),
        .stride = factor->stride,
        .out = piece_of(pass),
        .out_stride = pass->mixed->piece_depth * P,
    };

    if (factor->turned)
        pass->mixed->right_turned(&rounding);
    else
        pass->mixed->right(&rounding);
}

/* the weights of a piece, in panels */
static struct bp_ahead
weights_of(const struct factor *factor, const struct piece *piece)
{
    const size_t columns = factor->turned ? piece->terms : piece->columns;

    return (struct bp_ahead){
        .at = (const char *)beginning_of(factor, piece),
        .runs = bp_quotient_up(columns, P),
        .lines = factor->turned ? piece->columns : piece->terms,
        .stride = factor->stride * sizeof(float),
    };
}

/* The piece after this one, of all that the product needs: term after term, then the next columns.
 * False after the last. */
static bool
go_on(const struct bp_mixed *mixed, const struct bp_mixed_product *whole, struct piece *piece)
{
    const size_t width = mixed->piece_panels * P;

    piece->term += piece->terms;
    if (piece->term >= whole->depth) {
        piece->term = 0;
        piece->column += piece->columns;
    }
    const size_t terms = whole->depth - piece->term, columns = whole->columns - piece->column;
    piece->terms = terms < mixed->piece_depth ? terms : mixed->piece_depth;
    piece->columns = columns < width ? columns : width;
    return columns > 0;
}

/* All of a product, whose B is a factor of weights: some panels at a time, whose sums stay cached
 * while piece after piece of all terms is added. */
static void
product_by_pieces(const struct bp_pass *pass, const struct bp_mixed_product *whole,
                  const struct factor *factor)
{
    struct bp_mixed_product p = *whole;
    struct piece piece = {0}, next = {0};

    p.b = piece_of(pass);
    p.b_stride = pass->mixed->piece_depth * P;
    for (bool more = go_on(pass->mixed, whole, &next); more && !bp_is_given_up(pass);) {
        piece = next;
        more = go_on(pass->mixed, whole, &next);
        p.columns = piece.columns;
        p.depth = piece.terms;
        p.a = whole->a + piece.term / BP_STRIP * whole->a_stride;
        p.c = whole->c + piece.column / P * whole->c_stride;
        p.start = whole->start ? whole->start + piece.column : NULL;
        p.resume = piece.term > 0;
        p.ahead = more ? weights_of(factor, &next) : (struct bp_ahead){0};
        round_piece(pass, factor, &piece);
        pass->mixed->product(&p);
    }
}

void
bp_rounded_sums(const struct bp_pass *pass, size_t l, size_t first, size_t last,
                struct bp_rows rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel;

    product_by_pieces(
        pass,
        &(struct bp_mixed_product){
            .rows = rows.count,
            .columns = bp_end_of(net, last, layer->outputs) - first * panel,
            .depth = layer->inputs,
            .a = ws->rounded.rows[l % 2] + rows.first * BP_STRIP,
            .a_stride = ws->rounded.rows_stride,
            .c = bp_at(net, ws->nodes[l].z, first * ws->stride + rows.first * panel),
            .c_stride = ws->stride,
            .start = weights.bias ? bp_at(net, weights.bias, first * panel) : NULL,
        },
        &(struct factor){
            .w = bp_at(net, weights.w, first * weights.stride),
            .stride = weights.stride,
        });
}

void
bp_rounded_delta_sums(const struct bp_pass *pass, size_t l, size_t first, size_t last)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel;

    if (first == last)
        return;
    product_by_pieces(
        pass,
        &(struct bp_mixed_product){
            .rows = pass->rows,
            .columns = bp_end_of(net, last, layer->inputs) - first * panel,
            .depth = layer->outputs,
            .a = ws->rounded.rows[l % 2],
            .a_stride = ws->rounded.rows_stride,
            .c = bp_at(net, ws->nodes[l - 1].dC_da, first * ws->stride),
            .c_stride = ws->stride,
        },
        &(struct factor){
            .w = bp_at(net, weights.w, first * panel * panel),
            .stride = weights.stride,
            .turned = true,
        });
}

void
bp_rounded_outer(const struct bp_pass *pass, size_t l, size_t k, size_t q,
                 const struct bp_outer *outer)
{
    const struct bp_rounded *rounded = &pass->ws->rounded;

    pass->mixed->product(&(struct bp_mixed_product){
        .rows = outer->rows,
        .columns = outer->columns,
        .depth = outer->depth,
        .a = rounded->turned[l % 2] + k * BP_STRIP,
        .a_stride = rounded->turned_stride,
        .b = rounded->delta[l % 2] + q * rounded->delta_stride,
        .b_stride = rounded->delta_stride,
        .c = outer->c,
        .c_stride = outer->c_stride,
        .add = outer->add,
    });
}
