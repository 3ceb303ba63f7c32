#include "outputs.h"

#include "core/passes/alone.h"

void
bp_evaluate(struct bp_pass *pass, const struct bp_data *data, bool targets,
            struct bp_results *results)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t panel = net->kernels->panel, outputs = net->layers[net->count - 1].outputs;
    const bp_real *a = ws->nodes[net->count - 1].a;
    const struct bp_dropout *first_dropout = pass->dropout;
    struct bp_dropout dropout;

    if (first_dropout) {
        dropout = *first_dropout;
        pass->dropout = &dropout;
    }
    results->total = results->weight = 0;
    results->samples = results->right = 0;
    for (size_t n = 0; n < data->x.rows; n += pass->rows) {
        size_t first, last;
        const struct bp_rows rows = {NULL, n, bp_rows_at_a_time(data, n, ws)};
        pass->rows = rows.count;
        if (first_dropout)
            dropout.place = first_dropout->place + n;
        bp_load_batch(pass, data, &rows, targets);
        if (pass->me == 0 && results->poll && results->poll(results->context))
            *results->stop = true;
        bp_meet(pass->team);
        if ((results->stop && *results->stop) || bp_watch_stops(ws->scratch.watch))
            break;
        bp_forward(pass);
        bp_meet(pass->team);
        if (targets)
            bp_losses(pass);
        bp_share(pass->rows, pass->threads, pass->me, &first, &last);
        if (results->outputs)
            bp_read_panels(net, last - first, outputs, bp_const_at(net, a, first * panel),
                           ws->stride, bp_at(net, results->outputs, (n + first) * outputs),
                           outputs);
        if (results->classes)
            net->kernels->classify(last - first, outputs, bp_const_at(net, a, first * panel),
                                   ws->stride, 0, results->classes + n + first);
        bp_meet(pass->team);
        if (!targets)
            continue;
        for (size_t i = 0; i < pass->rows; i++) {
            const double weight = bp_weight_of(data, rows, i);
            results->total += weight * ws->losses[i];
            results->weight += weight;
            results->right += ws->classes[i] == ws->wanted[i];
        }
        results->samples += rows.count;
        for (size_t i = first; results->losses && i < last; i++)
            results->losses[n + i] = bp_weight_of(data, rows, i) * ws->losses[i];
        bp_meet(pass->team); /* the next rows overwrite what others still add up */
    }
    pass->dropout = first_dropout;
}
