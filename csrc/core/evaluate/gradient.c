#include "gradient.h"

#include <string.h>

#include "core/network/freedom.h"
#include "core/passes/alone.h"
#include "core/passes/sparse_layer.h"

/* ∂C/∂x, averaged, where x is sparse: Σ_j w_jk Σ_n delta_j, as no sample's own is wanted. */
static void
sparse_inputs(const struct bp_pass *pass, bool add, bp_real *inputs)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_weights weights = bp_layer_weights(net, 0, pass->parameters);
    const size_t panel = net->kernels->panel, outputs = net->layers[0].outputs;
    bp_real *sums = ws->turned.delta[0], *turned = ws->turned.delta[1];

    for (size_t q = 0; q < bp_panels(net, outputs); q++) {
        const size_t left = outputs - q * panel;
        bp_real *sum = bp_at(net, sums, q * panel);
        memset(sum, 0, BP_PANEL_BYTES);
        net->kernels->column_sums(pass->rows, left < panel ? left : panel,
                                  bp_at(net, ws->nodes[0].delta, q * ws->stride), ws->stride,
                                  false, sum);
    }
    net->kernels->transpose(1, outputs, sums, panel, turned, ws->turned.stride);
    for (size_t k = 0; k < net->layers[0].inputs; k += BP_GRADIENT_ROWS) {
        const size_t left = net->layers[0].inputs - k;
        const size_t rows = left < BP_GRADIENT_ROWS ? left : BP_GRADIENT_ROWS;
        bp_real *column = ws->scratch.gradient_chunks; /* [rows][P], of which the first is read */
        net->kernels->product(&(struct bp_product){
            .rows = rows,
            .columns = 1,
            .depth = outputs,
            .a = bp_at(net, weights.w, k * weights.row),
            .a_row = weights.row,
            .a_stride = weights.stride,
            .b = turned,
            .b_row = panel,
            .c = column,
        });
        for (size_t r = 0; r < rows; r++)
            net->kernels->column_sums(1, 1, bp_at(net, column, r * panel), panel, add,
                                      bp_at(net, inputs, k + r));
    }
}

double
bp_gradient(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
            const struct bp_data *data, bp_real *gradient, bp_real *inputs)
{
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, data);
    const bool sparse = bp_is_sparse(&data->x);
    struct bp_update update = {
        .what = BP_STORE, .gradient = {gradient, false}, .inputs = inputs && !sparse, .zeros = true};
    const double weight = bp_sum_of_weights(data);
    double total = 0;

    pass.sums = bp_grouping_of(net, data->x.rows);
    for (size_t n = 0; n < data->x.rows && !bp_watch_stops(ws->scratch.watch); n += pass.rows) {
        const struct bp_rows rows = {NULL, n, bp_rows_at_a_time(data, n, ws)};
        pass.rows = rows.count;
        bp_forward_to_delta(&pass, data, n, 1 / weight);
        bp_backward(&pass, &update);
        if (inputs && sparse)
            sparse_inputs(&pass, update.add, inputs);
        else if (inputs)
            bp_sum_columns(&pass, net->layers[0].inputs, ws->dC_dx, ws->stride, update.add, inputs);
        update.add = true; /* the rest is added to it */
        for (size_t i = 0; i < pass.rows; i++)
            total += bp_weight_of(data, rows, i) * ws->losses[i];
    }
    return total / weight;
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
