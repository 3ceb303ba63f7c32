#include "trace.h"

#include "core/network/functions.h"
#include "core/passes/alone.h"

void
bp_trace(const struct bp_network *net, struct bp_workspace *ws, const bp_real *parameters,
         const struct bp_data *data, bool targets, const struct bp_trace *trace)
{
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_update update = {.what = BP_NO_GRADIENT};
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, data);

    for (size_t n = 0; n < data->x.rows && !bp_watch_stops(ws->scratch.watch); n += pass.rows) {
        pass.rows = bp_rows_at_a_time(data, n, ws);
        if (targets) {
            bp_forward_to_delta(&pass, data, n, 1);
            bp_backward(&pass, &update);
        }
        else {
            bp_load_batch(&pass, data, &(struct bp_rows){NULL, n, pass.rows}, false);
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
