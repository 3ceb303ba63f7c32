#include "whole_gradient.h"

#include <math.h>

#include "core/base/sizes.h"

/* Part i of layer l: one panel of some rows of weights, or of the bias. */
static double
finish_part(const struct bp_pass *pass, size_t l, size_t i, struct bp_vector gradient,
            double weight)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_weights w = bp_layer_weights(net, l, pass->parameters);
    const struct bp_weights g = bp_layer_weights(net, l, gradient);
    const size_t panels = bp_panels(net, layer->outputs), panel = kernels->panel;
    const size_t q = i % panels, chunk = i / panels, left = layer->outputs - q * panel;
    const size_t columns = left < panel ? left : panel;

    if (chunk * BP_CHUNK_ROWS >= layer->inputs)
        return layer->freedom.bias_rate == 0
                   ? 0
                   : kernels->sum_of_squares(1, columns, bp_at(net, g.bias, q * panel), panel);
    if (layer->freedom.rate == 0)
        return 0;
    const size_t first = chunk * BP_CHUNK_ROWS, more = layer->inputs - first;
    const size_t rows = more < BP_CHUNK_ROWS ? more : BP_CHUNK_ROWS;
    bp_real *part = bp_at(net, g.w, q * g.stride + first * g.row);
    if (layer->l1 != 0 || layer->l2 != 0)
        kernels->penalize(rows, columns, weight * layer->l1, weight * layer->l2,
                          bp_at(net, w.w, q * w.stride + first * w.row), w.row, part, g.row);
    return kernels->sum_of_squares(rows, columns, part, g.row);
}

double
bp_finish_gradient(const struct bp_pass *pass, struct bp_vector gradient, double weight)
{
    double *sums = pass->ws->scratch.partial_sums, sum = 0;
    size_t end = 0; /* of the parts of the layers so far */

    for (size_t l = 0; l < pass->net->count; l++) {
        const size_t parts = bp_parts(pass->net, l);
        size_t first, last;
        bp_share(parts, pass->threads, pass->me, &first, &last);
        for (size_t i = first; i < last; i++)
            sums[end + i] = finish_part(pass, l, i, gradient, weight);
        end += parts;
    }
    bp_meet(pass->team);
    for (size_t i = 0; i < end; i++)
        sum += sums[i];
    return sqrt(sum) / weight;
}

double
bp_clip_scale(double norm, double clip_norm)
{
    const double scale = clip_norm / (norm + 1e-6);
    return scale > 1 ? 1 : scale;
}

void
bp_optimize_share_from(const struct bp_pass *pass, size_t from, const struct bp_optimizer_step *rule,
                       struct bp_vector gradient, bp_real *const state[BP_STATES])
{
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel;
    const size_t all = gradient.packed ? net->packed : net->parameters;
    size_t first, last;

    bp_share(bp_quotient_up(all - from, panel), pass->threads, pass->me, &first, &last);
    const size_t begin = from + first * panel, end = from + last * panel;
    if (first < last)
        bp_optimize(net, rule, pass->parameters, state, begin, (end < all ? end : all) - begin,
                    bp_const_at(net, gradient.numbers, begin));
}

void
bp_optimize_share(const struct bp_pass *pass, const struct bp_optimizer_step *rule,
                  struct bp_vector gradient, bp_real *const state[BP_STATES])
{
    bp_optimize_share_from(pass, 0, rule, gradient, state);
}
