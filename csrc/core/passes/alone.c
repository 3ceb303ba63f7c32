#include "alone.h"

#include <math.h>
#include <string.h>

/* delta of the last layer from the data's dC_0/da. */
static void
delta_from_derivatives(const struct bp_pass *pass, const struct bp_data *data, struct bp_rows rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t l = net->count - 1, panels = bp_panels(net, net->layers[l].outputs);
    const struct bp_nodes *nodes = &ws->nodes[l];

    memset(bp_at(net, nodes->dC_da, (panels - 1) * ws->stride), 0, rows.count * BP_PANEL_BYTES);
    bp_gather(net, &data->y, &rows, nodes->dC_da, ws->stride);
    bp_delta_from_dC_da(pass);
    net->kernels->scale_rows(rows.count, panels, ws->factors, nodes->delta, ws->stride);
    for (size_t i = 0; i < rows.count; i++)
        ws->losses[i] = NAN;
}

void
bp_forward_to_delta(const struct bp_pass *pass, const struct bp_data *data, size_t n, double factor)
{
    const struct bp_rows rows = {NULL, n, pass->rows};

    bp_load_batch(pass, data, &rows, !data->derivatives);
    for (size_t i = 0; i < pass->rows; i++)
        pass->ws->factors[i] = factor * bp_weight_of(data, rows, i);
    bp_forward(pass);
    if (data->derivatives) {
        delta_from_derivatives(pass, data, rows);
        return;
    }
    bp_losses(pass);
    bp_delta_from_loss(pass);
}
