#include "gradient.h"

#include <string.h>

#include "core/network/freedom.h"
#include "core/passes/alone.h"
#include "core/passes/sparse_layer.h"

size_t
bp_rows_of_sum(const struct bp_network *net, const struct bp_data *data)
{
    enum { SUMS = 16, LEAST = 128, MOST = 1024 };
    const size_t group = bp_sums_together(net, data->x.rows).group;
    const size_t rows = data->x.rows / SUMS / LEAST * LEAST;

    if (group > 0)
        return group;
    return rows < LEAST ? LEAST : rows > MOST ? MOST : rows;
}

void
bp_sum_gradient(struct bp_pass *pass, const struct bp_data *data, struct bp_rows rows,
                double weight, const struct bp_gradient_sum *sum)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    struct bp_update update = {
        .what = BP_STORE, .add = sum->add, .gradient = {sum->gradient, false}, .zeros = true};
    const size_t end = rows.first + rows.count;

    pass->sums = bp_sums_together(net, data->x.rows);
    for (size_t n = rows.first; n < end && !bp_watch_stops(ws->scratch.watch); n += pass->rows) {
        pass->rows = end - n < ws->rows ? end - n : ws->rows;
        bp_forward_to_delta(pass, data, n, 1 / weight);
        bp_backward(pass, &update);
        bp_sum_columns(pass, net->layers[0].outputs, ws->nodes[0].delta, ws->stride, update.add,
                       sum->deltas);
        update.add = true; /* the rest is added to it */
        for (size_t i = 0; i < pass->rows; i++)
            sum->losses[n - rows.first + i] =
                bp_weight_of(data, (struct bp_rows){NULL, n, pass->rows}, i) * ws->losses[i];
    }
}

/* No sample's own is wanted, so W is gone through once: Σ_n Σ_j w_jk delta_j = Σ_j w_jk Σ_n delta_j. */
void
bp_inputs_from_deltas(const struct bp_pass *pass, const bp_real *deltas, bp_real *inputs)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_layer *layer = &net->layers[0];
    const struct bp_weights weights = bp_layer_weights(net, 0, pass->parameters);
    const size_t panel = net->kernels->panel;
    bp_real *turned = ws->turned.delta[0];
    bp_real *column = bp_gradient_chunk_of(pass, 0), *row = bp_gradient_chunk_of(pass, 1);

    net->kernels->transpose(1, layer->outputs, deltas, panel, turned, ws->turned.stride);
    for (size_t k = 0; k < layer->inputs; k += BP_GRADIENT_ROWS) {
        const size_t left = layer->inputs - k;
        const size_t rows = left < BP_GRADIENT_ROWS ? left : BP_GRADIENT_ROWS;
        net->kernels->product(&(struct bp_product){
            .rows = rows,
            .columns = 1,
            .depth = layer->outputs,
            .a = bp_at(net, weights.w, k * weights.row),
            .a_row = weights.row,
            .a_stride = weights.stride,
            .b = turned,
            .b_row = panel,
            .c = column, /* [rows][P], of which the first is read */
        });
        net->kernels->transpose(rows, 1, column, panel, row, panel);
        memcpy(bp_at(net, inputs, k), row, rows * net->kernels->size);
    }
}

void
bp_gradient(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
            struct bp_mean_gradient *mean)
{
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, mean->data);
    const size_t rows = mean->data->x.rows;
    const double weight = bp_sum_of_weights(mean->data);
    double total = 0;

    bp_sum_gradient(&pass, mean->data, (struct bp_rows){NULL, 0, rows}, weight,
                    &(struct bp_gradient_sum){
                        .gradient = mean->gradient,
                        .deltas = ws->scratch.deltas,
                        .losses = ws->losses,
                    });
    bp_inputs_from_deltas(&pass, ws->scratch.deltas, mean->inputs);
    for (size_t n = 0; n < rows; n++)
        total += ws->losses[n];
    mean->loss = total / weight;
}

void
bp_gradient_per_sample(const struct bp_network *net, struct bp_workspace *ws,
                       const bp_real *parameters, const struct bp_data *data, bp_real *gradient,
                       bp_real *inputs, double *losses)
{
    const struct bp_kernels *kernels = net->kernels;
    const bool sparse = bp_is_sparse(&data->x);
    const size_t samples = data->x.rows, features = net->layers[0].inputs;
    const struct bp_update update = {.what = BP_NO_GRADIENT, .inputs = true};
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, data);

    for (size_t n = 0; n < samples && !bp_watch_stops(ws->scratch.watch); n += pass.rows) {
        const struct bp_rows rows = {NULL, n, bp_rows_at_a_time(data, n, ws)};
        pass.rows = rows.count;
        bp_forward_to_delta(&pass, data, n, 1);
        bp_backward(&pass, &update);
        for (size_t i = 0; i < pass.rows; i++)
            losses[n + i] = bp_weight_of(data, rows, i) * ws->losses[i];
        bp_read_panels(net, pass.rows, features, ws->dC_dx, ws->stride,
                       bp_at(net, inputs, n * features), features);
        for (size_t i = 0; i < pass.rows; i++)
            for (size_t l = 0; l < net->count; l++) {
                const struct bp_layer *layer = &net->layers[l];
                const struct bp_vector own = {bp_at(net, gradient, (n + i) * net->parameters),
                                              false};
                const struct bp_weights target = bp_layer_weights(net, l, own);
                const size_t row = i * kernels->panel;
                const bp_real *delta = bp_at(net, ws->nodes[l].delta, row);
                if (l == 0 && sparse)
                    bp_sparse_gradient_of_row(&pass, i, target);
                else
                    kernels->outer(&(struct bp_outer){
                        .rows = layer->inputs,
                        .columns = layer->outputs,
                        .depth = 1,
                        .a = bp_const_at(net, bp_input_of(ws, l), row),
                        .a_stride = ws->stride,
                        .delta = delta,
                        .delta_stride = ws->stride,
                        .c = target.w,
                        .c_row = target.row,
                        .c_stride = target.stride,
                    });
                bp_mask_part(net, l, 0, layer->inputs, 0, layer->outputs, target);
                if (layer->bias)
                    kernels->column_sums(1, layer->outputs, delta, ws->stride, false, target.bias);
            }
    }
}
