#include "gradient.h"

#include "core/passes/alone.h"

double
bp_gradient(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
            const struct bp_data *data, bp_real *gradient, bp_real *inputs)
{
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, data);
    struct bp_update update = {
        .what = BP_STORE, .gradient = {gradient, false}, .inputs = inputs != NULL};
    const double weight = bp_sum_of_weights(data);
    double total = 0;

    pass.sums = bp_grouping_of(net, data->x.rows);
    for (size_t n = 0; n < data->x.rows && !bp_watch_stops(ws->scratch.watch); n += pass.rows) {
        const struct bp_rows rows = {NULL, n, bp_rows_at_a_time(data, n, ws)};
        pass.rows = rows.count;
        bp_forward_to_delta(&pass, data, n, 1 / weight);
        bp_backward(&pass, &update);
        if (inputs)
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
                if (layer->bias)
                    kernels->column_sums(1, layer->outputs, delta, ws->stride, false, target.bias);
            }
    }
}
