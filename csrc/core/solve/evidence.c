#include "evidence.h"

#include <math.h>

static const double MOST = 1e8; /* of a λ: its layer's weights are then as good as 0 */

/* what the parameters of a layer that move come to */
struct part {
    size_t count;
    double squares, variances; /* Σ w², Σ diagonal */
};

/* of the first `count` of them */
static struct part
add_up(const struct bp_layer *layer, size_t count, const unsigned char *free, const double *w,
       const double *diagonal)
{
    struct part part = {0};

    for (size_t p = layer->weights_at; p < layer->weights_at + count; p++) {
        if (free && !free[p])
            continue;
        part.count++;
        part.squares += w[p] * w[p];
        part.variances += diagonal ? diagonal[p] : 0;
    }
    return part;
}

static double
effective_of(struct part part, double penalty)
{
    return (double)part.count - (part.variances > 0 ? penalty * part.variances : 0);
}

void
bp_find_penalties(const struct bp_network *net, struct bp_levenberg *own, const unsigned char *free,
                  const double *w, double errors, const double *diagonal)
{
    own->effective = 0;
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const size_t count = (layer->inputs + layer->bias) * layer->outputs;
        own->effective += effective_of(add_up(layer, count, free, w, diagonal), own->penalties[l]);
    }
    const double variance = errors / fmax((double)own->residuals - own->effective, 1);
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct part weights = add_up(layer, layer->inputs * layer->outputs, free, w, diagonal);
        const double effective = effective_of(weights, own->penalties[l]);
        if (weights.count == 0) /* nothing to judge its biases by: they are free */
            own->penalties[l] = 0;
        else
            own->penalties[l] =
                weights.squares > 0 ? fmin(effective / weights.squares * variance, MOST) : 1;
    }
}

void
bp_spread_penalties(const struct bp_network *net, const double *penalties, const unsigned char *free,
                    double *of_parameters)
{
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const size_t end = layer->weights_at + (layer->inputs + layer->bias) * layer->outputs;
        for (size_t p = layer->weights_at; p < end; p++)
            of_parameters[p] = free && !free[p] ? 0 : penalties[l];
    }
}
