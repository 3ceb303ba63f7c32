#include "losses.h"

#include "core/network/functions.h"

/* Losses without the missing targets, which y has as 0: there a becomes 0 too, and z so low that
 * its sigmoid is 0, for which every loss is 0. Cross-entropy is 0 for y = 0 whatever a is, and
 * softmax needs all of z. */
static void
masked_losses(const struct bp_pass *pass, struct bp_rows own)
{
    enum { SIGMOID_IS_ZERO = -10000 };
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_nodes *last = &ws->nodes[net->count - 1];
    const size_t at = own.first * net->kernels->panel;
    const bp_real *a = last->a, *z = last->z;

    if (net->loss != BP_CROSS_ENTROPY) {
        a = z = ws->present;
        bp_fill_missing(pass, own, net->fused ? last->z : last->a, net->fused ? SIGMOID_IS_ZERO : 0,
                        ws->present);
    }
    bp_apply_loss(net, own.count, net->fused ? bp_const_at(net, z, at) : NULL,
                  bp_const_at(net, a, at), bp_at(net, ws->y, at), ws->stride,
                  ws->losses + own.first);
}

void
bp_losses(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_nodes *last = &ws->nodes[net->count - 1];
    const struct bp_rows own = bp_own_rows(pass);
    const size_t outputs = net->layers[net->count - 1].outputs;
    const size_t at = own.first * net->kernels->panel;
    const bp_real *a = bp_at(net, last->a, at), *y = bp_at(net, ws->y, at);

    if (pass->masked)
        masked_losses(pass, own);
    else
        bp_apply_loss(net, own.count, net->fused ? bp_at(net, last->z, at) : NULL, a, y, ws->stride,
                      ws->losses + own.first);
    /* a NaN is no class, neither as an output nor as a target: such a sample is never right */
    net->kernels->classify(own.count, outputs, a, ws->stride, -1, ws->classes + own.first);
    if (bp_targets(net) == outputs)
        net->kernels->classify(own.count, outputs, y, ws->stride, -2, ws->wanted + own.first);
    else
        for (size_t n = 0; n < own.count; n++)
            ws->wanted[own.first + n] = -2;
}
