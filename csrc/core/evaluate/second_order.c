/* With W moving by V, and d before a number for how fast it moves (B. A. Pearlmutter, "Fast exact
 * multiplication by the Hessian", Neural Computation 6, 1994):
 *
 *   dz = V a_prev + W da_prev (+ the bias's direction)        da = g'(z) dz
 *   dδ = g''(z) dz ∂C/∂a + g'(z) d(∂C/∂a)          d(∂C/∂a_prev) = Vᵀ δ + Wᵀ dδ
 *   d(∂C/∂w_jk) = dδ_j a_k + δ_j da_k                         d(∂C/∂b_j) = dδ_j
 */
#include "second_order.h"

#include "core/network/freedom.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "core/passes/sparse_layer.h"
#include "jacobian.h"

/* all of a Hessian-vector product for one batch, whose pass has been done */
struct direction {
    struct bp_pass pass;
    const struct bp_workspace
        *moved; /* its z, a, dC_da and delta are how fast those of pass.ws move */
    struct bp_vector along;
};

static void
move_forward(const struct direction *d, size_t l)
{
    const struct bp_network *net = d->pass.net;

    if (l == 0 && d->pass.ws->scratch.nonzeros)
        bp_sparse_sums(&d->pass, bp_layer_weights(net, 0, d->along), 0,
                       bp_panels(net, net->layers[0].outputs),
                       (struct bp_rows){NULL, 0, d->pass.rows}, d->moved->nodes[0].z,
                       d->moved->stride);
    else
        bp_move_sums(&d->pass, d->moved, l, bp_input_of(d->pass.ws, l),
                     bp_layer_weights(net, l, d->along), false);
    if (l > 0)
        bp_move_sums(&d->pass, d->moved, l, d->moved->nodes[l - 1].a,
                     bp_layer_weights(net, l, d->pass.parameters), true);
    bp_move_activations(&d->pass, d->moved, l);
}

/* how fast delta moves, from how fast dC_da does */
static void
move_delta(const struct direction *d, size_t l)
{
    const struct bp_network *net = d->pass.net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_nodes *nodes = &d->pass.ws->nodes[l], *change = &d->moved->nodes[l];
    const size_t rows = d->pass.rows, stride = d->moved->stride;

    if (layer->activation == BP_SOFTMAX) {
        kernels->softmax_delta(rows, layer->outputs, nodes->a, change->dC_da, change->delta,
                               stride);
        kernels->softmax_delta_change(rows, layer->outputs, nodes->a, change->a, nodes->dC_da,
                                      change->delta, stride);
        return;
    }
    for (size_t q = 0; q < bp_panels(net, layer->outputs); q++) {
        const size_t at = q * stride;
        kernels->delta_change(layer->activation, rows * kernels->panel, bp_at(net, nodes->z, at),
                              bp_at(net, nodes->a, at), bp_at(net, change->z, at),
                              bp_at(net, nodes->dC_da, at), bp_at(net, change->dC_da, at),
                              bp_at(net, change->delta, at));
    }
}

static void
move_output_delta(const struct direction *d)
{
    const struct bp_network *net = d->pass.net;
    const size_t l = net->count - 1, outputs = net->layers[l].outputs, rows = d->pass.rows;
    const struct bp_workspace *ws = d->pass.ws;
    const struct bp_nodes *nodes = &ws->nodes[l], *change = &d->moved->nodes[l];
    const struct bp_rows all = {NULL, 0, rows};

    if (net->fused)
        net->kernels->fused_delta_change(net->loss, rows, outputs, ws->y, change->a, change->delta,
                                         ws->stride);
    else {
        net->kernels->loss_curvature(net->loss, rows, outputs, nodes->a, ws->y, change->a,
                                     change->dC_da, ws->stride);
        if (d->pass.masked)
            bp_fill_missing(&d->pass, all, change->dC_da, 0, change->dC_da);
        move_delta(d, l);
    }
    if (d->pass.masked && net->fused && net->loss == BP_BINARY_CROSS_ENTROPY)
        bp_fill_missing(&d->pass, all, change->delta, 0, change->delta);
    net->kernels->scale_rows(rows, bp_panels(net, outputs), ws->factors, change->delta, ws->stride);
}

/* Sets, or adds to, layer l's part of the product. */
static void
move_gradient(const struct direction *d, size_t l, struct bp_vector product, bool add)
{
    const struct bp_network *net = d->pass.net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_workspace *ws = d->pass.ws, *moved = d->moved;
    const struct bp_weights target = bp_layer_weights(net, l, product);
    struct bp_outer outer = {
        .rows = layer->inputs,
        .columns = layer->outputs,
        .depth = d->pass.rows,
        .a = bp_input_of(ws, l),
        .a_stride = ws->stride,
        .delta = moved->nodes[l].delta,
        .delta_stride = ws->stride,
        .c = target.w,
        .c_row = target.row,
        .c_stride = target.stride,
        .add = add,
    };

    if (l == 0 && ws->scratch.nonzeros)
        bp_sparse_gradient(&d->pass, outer.delta, target, add);
    else
        net->kernels->outer(&outer);
    if (layer->bias)
        net->kernels->column_sums(d->pass.rows, layer->outputs, moved->nodes[l].delta, ws->stride,
                                  add, target.bias);
    if (l == 0)
        return;
    outer.a = moved->nodes[l - 1].a;
    outer.delta = ws->nodes[l].delta;
    outer.add = true;
    net->kernels->outer(&outer);
}

/* turned dC_da = W delta, in the numbers of `moved`; resume: plus what is there */
static void
propagate(const struct direction *d, size_t l, const bp_real *delta, struct bp_vector vector,
          bool resume)
{
    const struct bp_network *net = d->pass.net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_workspace *moved = d->moved;
    const struct bp_weights weights = bp_layer_weights(net, l, vector);

    kernels->transpose(d->pass.rows, layer->outputs, delta, moved->stride, moved->turned.delta[0],
                       moved->turned.stride);
    kernels->product(&(struct bp_product){
        .rows = layer->inputs,
        .columns = d->pass.rows,
        .depth = layer->outputs,
        .a = weights.w,
        .a_row = weights.row,
        .a_stride = weights.stride,
        .b = moved->turned.delta[0],
        .b_row = kernels->panel,
        .b_stride = moved->turned.stride,
        .c = moved->turned.dC_da,
        .c_stride = moved->turned.stride,
        .resume = resume,
    });
}

void
bp_hessian_vector(const struct bp_network *net, struct bp_workspace *ws, struct bp_workspace *moved,
                  const bp_real *parameters, const struct bp_data *data, const bp_real *along,
                  bp_real *product)
{
    struct direction d = {
        .pass = bp_pass_alone(net, ws, parameters, data),
        .moved = moved,
        .along = bp_reading(along, false),
    };
    const struct bp_vector target = {product, false};
    const double weight = bp_sum_of_weights(data);

    for (size_t n = 0; n < data->x.rows && !bp_watch_stops(ws->scratch.watch); n += d.pass.rows) {
        d.pass.rows = bp_rows_at_a_time(data, n, ws);
        bp_forward_to_delta(&d.pass, data, n, 1 / weight);
        bp_backward(&d.pass, &(struct bp_update){.what = BP_NO_GRADIENT});
        if (ws->scratch.nonzeros)
            bp_group_nonzeros(&d.pass);

        for (size_t l = 0; l < net->count; l++)
            move_forward(&d, l);
        move_output_delta(&d);
        for (size_t l = net->count; l-- > 0;) {
            move_gradient(&d, l, target, n > 0);
            if (l == 0)
                break;
            propagate(&d, l, moved->nodes[l].delta, d.pass.parameters, false);
            propagate(&d, l, ws->nodes[l].delta, d.along, true);
            net->kernels->transpose(net->layers[l].inputs, d.pass.rows, moved->turned.dC_da,
                                    moved->turned.stride, moved->nodes[l - 1].dC_da, moved->stride);
            move_delta(&d, l - 1);
        }
    }
    bp_mask_vector(net, target);
}
