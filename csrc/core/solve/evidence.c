#include "evidence.h"

#include <math.h>

static const double MOST = 1e8; /* of a λ: its layer's weights are then as good as 0 */

/* γ of the first `count` parameters of a layer */
static double
effective_of(const struct bp_layer *layer, size_t count, double penalty, const double *diagonal)
{
    double sum = 0;

    for (size_t i = 0; diagonal && i < count; i++)
        sum += diagonal[layer->weights_at + i];
    return (double)count - (sum > 0 ? penalty * sum : 0);
}

void
bp_find_penalties(const struct bp_network *net, struct bp_levenberg *own, const double *w,
                  double errors, const double *diagonal)
{
    own->effective = 0;
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const size_t count = (layer->inputs + layer->bias) * layer->outputs;
        own->effective += effective_of(layer, count, own->penalties[l], diagonal);
    }
    const double variance = errors / fmax((double)own->residuals - own->effective, 1);
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const size_t weights = layer->inputs * layer->outputs;
        const double effective = effective_of(layer, weights, own->penalties[l], diagonal);
        double squares = 0;
        for (size_t i = 0; i < weights; i++)
            squares += w[layer->weights_at + i] * w[layer->weights_at + i];
        own->penalties[l] = squares > 0 ? fmin(effective / squares * variance, MOST) : 1;
    }
}

void
bp_spread_penalties(const struct bp_network *net, const double *penalties, double *of_parameters)
{
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        for (size_t i = 0; i < (layer->inputs + layer->bias) * layer->outputs; i++)
            of_parameters[layer->weights_at + i] = penalties[l];
    }
}
