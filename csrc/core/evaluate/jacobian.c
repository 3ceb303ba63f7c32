#include "jacobian.h"

#include "core/network/functions.h"
#include "core/passes/alone.h"

void
bp_jacobian(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
            const struct bp_data *data, bp_real *out)
{
    const size_t inputs = net->layers[0].inputs, outputs = net->layers[net->count - 1].outputs;
    const struct bp_update update = {.what = BP_NO_GRADIENT, .inputs = true};
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, data);

    for (size_t n = 0; n < data->x.rows && !bp_watch_stops(ws->scratch.watch); n += pass.rows) {
        pass.rows = bp_rows_at_a_time(data, n, ws);
        bp_load_batch(&pass, data, &(struct bp_rows){NULL, n, pass.rows}, false);
        bp_forward(&pass);
        for (size_t j = 0; j < outputs; j++) {
            /* ∂a_j/∂a, one row for all samples: the label j */
            const int64_t label = (int64_t)j;
            const struct bp_data one = {
                .y = {.data = (const char *)&label, .rows = 1, .columns = 1, .type = BP_INT64},
                .labels = true,
            };
            bp_gather_targets(net, &one, &(struct bp_rows){NULL, 0, pass.rows},
                              ws->nodes[net->count - 1].dC_da, ws->stride);
            bp_delta_from_dC_da(&pass);
            bp_backward(&pass, &update);
            bp_read_panels(net, pass.rows, inputs, ws->dC_dx, ws->stride,
                           bp_at(net, out, (n * outputs + j) * inputs), outputs * inputs);
        }
    }
}

void
bp_vector_jacobian(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
                   const struct bp_data *data, bp_real *out)
{
    const size_t inputs = net->layers[0].inputs;
    const struct bp_update update = {.what = BP_NO_GRADIENT, .inputs = true};
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, data);

    for (size_t n = 0; n < data->x.rows && !bp_watch_stops(ws->scratch.watch); n += pass.rows) {
        pass.rows = bp_rows_at_a_time(data, n, ws);
        bp_forward_to_delta(&pass, data, n, 1);
        bp_backward(&pass, &update);
        bp_read_panels(net, pass.rows, inputs, ws->dC_dx, ws->stride, bp_at(net, out, n * inputs),
                       inputs);
    }
}

void
bp_move_sums(const struct bp_pass *pass, const struct bp_workspace *moved, size_t l,
             const bp_real *a, struct bp_weights weights, bool resume)
{
    const struct bp_network *net = pass->net;

    net->kernels->product(&(struct bp_product){
        .rows = pass->rows,
        .columns = net->layers[l].outputs,
        .depth = net->layers[l].inputs,
        .a = a,
        .a_row = net->kernels->panel,
        .a_stride = moved->stride,
        .b = weights.w,
        .b_row = weights.row,
        .b_stride = weights.stride,
        .c = moved->nodes[l].z,
        .c_stride = moved->stride,
        .start = weights.bias,
        .resume = resume,
    });
}

void
bp_move_activations(const struct bp_pass *pass, const struct bp_workspace *moved, size_t l)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_workspace *ws = pass->ws;
    const struct bp_nodes *nodes = &ws->nodes[l], *change = &moved->nodes[l];

    if (layer->activation == BP_SOFTMAX) /* its Jacobian is symmetric */
        net->kernels->softmax_delta(pass->rows, layer->outputs, nodes->a, change->z, change->a,
                                    ws->stride);
    else
        bp_apply_slope(net, l, 0, bp_panels(net, layer->outputs), pass->rows, nodes->z, nodes->a,
                       change->z, change->a, ws->stride);
}

void
bp_jacobian_vector(const struct bp_network *net, struct bp_workspace *ws,
                   struct bp_workspace *moved, const bp_real *parameters,
                   const struct bp_data *data, const struct bp_array *v, bp_real *out)
{
    const size_t last = net->count - 1, outputs = net->layers[last].outputs;
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, data);

    for (size_t n = 0; n < data->x.rows && !bp_watch_stops(ws->scratch.watch); n += pass.rows) {
        const struct bp_rows rows = {NULL, n, bp_rows_at_a_time(data, n, ws)};
        pass.rows = rows.count;
        bp_load_batch(&pass, data, &rows, false);
        bp_forward(&pass);
        bp_gather(net, v, &rows, moved->x, moved->stride);
        for (size_t l = 0; l < net->count; l++) {
            struct bp_weights weights = bp_layer_weights(net, l, pass.parameters);
            weights.bias = NULL; /* which does not move */
            bp_move_sums(&pass, moved, l, bp_input_of(moved, l), weights, false);
            bp_move_activations(&pass, moved, l);
        }
        bp_read_panels(net, pass.rows, outputs, moved->nodes[last].a, moved->stride,
                       bp_at(net, out, n * outputs), outputs);
    }
}
