#include "evaluate.h"

#include <math.h>
#include <string.h>

#include "core/network/functions.h"
#include "core/passes/whole_gradient.h"

/* a pass on the caller's thread alone */
static struct bp_pass
pass_of(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters)
{
    return (struct bp_pass){
        .net = net,
        .ws = ws,
        .parameters = {(bp_real *)parameters, false},
        .threads = 1,
    };
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void
set_factors(struct bp_workspace *ws, size_t rows, double factor)
{
    for (size_t n = 0; n < rows; n++)
        ws->factors[n] = factor;
}

void
bp_evaluate(struct bp_pass pass, const struct bp_data *data, bool targets,
            struct bp_results *results)
{
    const struct bp_network *net = pass.net;
    const struct bp_workspace *ws = pass.ws;
    const size_t panel = net->kernels->panel, outputs = net->layers[net->count - 1].outputs;
    const bp_real *a = ws->nodes[net->count - 1].a;

    results->total = 0;
    results->right = 0;
    for (size_t n = 0; n < data->x.rows; n += pass.rows) {
        size_t first, last;
        pass.rows = smaller(data->x.rows - n, ws->rows);
        bp_load_batch(&pass, data, (struct bp_rows){NULL, n, pass.rows}, targets);
        if (pass.me == 0 && results->poll && results->poll(results->context))
            *results->stop = true;
        bp_meet(pass.team);
        if (results->stop && *results->stop)
            return;
        bp_forward(&pass);
        bp_meet(pass.team);
        if (targets)
            bp_losses(&pass);
        bp_share(pass.rows, pass.threads, pass.me, &first, &last);
        if (results->outputs)
            bp_read_panels(net, last - first, outputs, bp_at(net, a, first * panel), ws->stride,
                           bp_at(net, results->outputs, (n + first) * outputs), outputs);
        if (results->classes)
            net->kernels->classify(last - first, outputs, bp_at(net, a, first * panel), ws->stride, 0,
                                   results->classes + n + first);
        bp_meet(pass.team);
        if (!targets)
            continue;
        for (size_t i = 0; i < pass.rows; i++) {
            results->total += ws->losses[i];
            results->right += ws->classes[i] == ws->wanted[i];
        }
        if (results->losses)
            memcpy(results->losses + n + first, ws->losses + first,
                   (last - first) * sizeof(*ws->losses));
        bp_meet(pass.team); /* the next rows overwrite what others still add up */
    }
}

/* everything up to delta of the last layer, for rows n, n + 1, ... of the data */
static void
forward_to_delta(const struct bp_pass *pass, const struct bp_data *data, size_t n, double factor)
{
    bp_load_batch(pass, data, (struct bp_rows){NULL, n, pass->rows}, true);
    set_factors(pass->ws, pass->rows, factor);
    bp_forward(pass);
    bp_losses(pass);
    bp_output_delta(pass);
}

double
bp_gradient(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
            const struct bp_data *data, bp_real *gradient, bp_real *inputs)
{
    struct bp_pass pass = pass_of(net, ws, parameters);
    struct bp_update update = {
        .what = BP_STORE, .gradient = {gradient, false}, .inputs = inputs != NULL};
    const size_t samples = data->x.rows;
    double total = 0;

    for (size_t n = 0; n < samples; n += pass.rows) {
        pass.rows = smaller(samples - n, ws->rows);
        forward_to_delta(&pass, data, n, 1 / (double)samples);
        bp_backward(&pass, &update);
        if (inputs)
            net->kernels->column_sums(pass.rows, net->layers[0].inputs, ws->dC_dx, ws->stride,
                                      update.add, inputs);
        update.add = true; /* the rest is added to it */
        for (size_t i = 0; i < pass.rows; i++)
            total += ws->losses[i];
    }
    return total / (double)samples;
}

void
bp_gradient_per_sample(const struct bp_network *net, struct bp_workspace *ws,
                       const bp_real *parameters, const struct bp_data *data, bp_real *gradient,
                       bp_real *inputs, double *losses)
{
    const struct bp_kernels *kernels = net->kernels;
    const size_t samples = data->x.rows, features = net->layers[0].inputs;
    const struct bp_update update = {.what = BP_NO_GRADIENT, .inputs = true};
    struct bp_pass pass = pass_of(net, ws, parameters);

    for (size_t n = 0; n < samples; n += pass.rows) {
        pass.rows = smaller(samples - n, ws->rows);
        forward_to_delta(&pass, data, n, 1);
        bp_backward(&pass, &update);
        memcpy(losses + n, ws->losses, pass.rows * sizeof(*losses));
        bp_read_panels(net, pass.rows, features, ws->dC_dx, ws->stride,
                       bp_at(net, inputs, n * features), features);
        for (size_t i = 0; i < pass.rows; i++)
            for (size_t l = 0; l < net->count; l++) {
                const struct bp_layer *layer = &net->layers[l];
                const struct bp_vector own = {
                    bp_at(net, gradient, (n + i) * net->parameters), false};
                const struct bp_weights target = bp_layer_weights(net, l, own);
                const size_t row = i * kernels->panel;
                const bp_real *delta = bp_at(net, ws->nodes[l].delta, row);
                kernels->outer(&(struct bp_outer){
                    .rows = layer->inputs,
                    .columns = layer->outputs,
                    .depth = 1,
                    .a = bp_at(net, l == 0 ? ws->x : ws->nodes[l - 1].a, row),
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

void
bp_trace(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
         const struct bp_data *data, bool targets, const struct bp_trace *trace)
{
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_update update = {.what = BP_NO_GRADIENT};
    struct bp_pass pass = pass_of(net, ws, parameters);

    for (size_t n = 0; n < data->x.rows; n += pass.rows) {
        pass.rows = smaller(data->x.rows - n, ws->rows);
        if (targets) {
            forward_to_delta(&pass, data, n, 1);
            bp_backward(&pass, &update);
        }
        else {
            bp_load_batch(&pass, data, (struct bp_rows){NULL, n, pass.rows}, false);
            bp_forward(&pass);
        }
        for (size_t l = 0; l < net->count; l++) {
            const struct bp_nodes *nodes = &ws->nodes[l];
            const size_t count = net->layers[l].outputs, at = n * count;
#define READ(panels, out)                                                                          \
    bp_read_panels(net, pass.rows, count, panels, ws->stride, bp_at(net, out, at), count)
            READ(nodes->z, trace[l].z);
            READ(nodes->a, trace[l].a);
            if (!targets)
                continue;
            READ(nodes->dC_da, trace[l].dC_da);
            READ(nodes->delta, trace[l].dC_dz);
            if (net->layers[l].activation == BP_SOFTMAX) {
                kernels->softmax_jacobian(pass.rows, count, nodes->a, ws->stride,
                                          bp_at(net, trace[l].da_dz, at * count));
                continue;
            }
            /* delta has been read: its room serves for da_dz */
            bp_apply_slope(net, l, 0, bp_panels(net, count), pass.rows, nodes->z, nodes->a, NULL,
                           nodes->delta, ws->stride);
            READ(nodes->delta, trace[l].da_dz);
#undef READ
        }
    }
}

double
bp_step(const struct bp_network *net, struct bp_workspace *ws, bp_real *parameters,
        const struct bp_data *data, struct bp_optimizer *optimizer, bp_real *gradient,
        const struct bp_dropout *dropout)
{
    struct bp_pass pass = pass_of(net, ws, parameters);
    const bool plain = bp_is_plain(net, optimizer);
    const double samples = (double)data->x.rows;
    double total = 0;

    pass.rows = data->x.rows;
    pass.dropout = dropout;
    forward_to_delta(&pass, data, 0, (plain ? -optimizer->rate : 1) / samples);
    for (size_t i = 0; i < pass.rows; i++)
        total += ws->losses[i];
    if (plain)
        bp_backward(&pass, &(struct bp_update){.what = BP_DESCEND});
    else {
        const struct bp_vector whole = {gradient, false};
        struct bp_optimizer_step rule = bp_next_step(optimizer, optimizer->steps);
        bp_backward(&pass, &(struct bp_update){.what = BP_STORE, .gradient = whole});
        if (bp_failed(net))
            return total / samples;
        if (net->penalized || isfinite(optimizer->clip_norm)) {
            const double norm = bp_finish_gradient(&pass, whole, 1);
            rule.scale = bp_clip_scale(norm, optimizer->clip_norm);
        }
        net->kernels->optimize(&rule, net->parameters, parameters, gradient, optimizer->state);
    }
    optimizer->steps++;
    return total / samples;
}
