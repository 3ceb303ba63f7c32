#include "outputs.h"

#include <string.h>

#include "core/passes/alone.h"

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
        pass.rows = bp_rows_at_a_time(data, n, ws);
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
            bp_read_panels(net, last - first, outputs, bp_const_at(net, a, first * panel),
                           ws->stride, bp_at(net, results->outputs, (n + first) * outputs),
                           outputs);
        if (results->classes)
            net->kernels->classify(last - first, outputs, bp_const_at(net, a, first * panel),
                                   ws->stride, 0, results->classes + n + first);
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
