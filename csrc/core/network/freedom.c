#include "freedom.h"

#include <string.h>

#include "core/base/team.h"

void
bp_mask_part(const struct bp_network *net, size_t l, size_t k, size_t rows, size_t j, size_t columns,
             struct bp_weights part)
{
    const struct bp_layer *layer = &net->layers[l];
    const size_t panel = net->kernels->panel;

    if (!layer->freedom.mask)
        return;
    for (size_t q = 0; q * panel < columns; q++) {
        const size_t left = columns - q * panel;
        net->kernels->mask(rows, left < panel ? left : panel,
                           layer->freedom.mask + k * layer->outputs + j + q * panel, layer->outputs,
                           bp_at(net, part.w, q * part.stride), part.row);
    }
}

void
bp_mask_share(const struct bp_network *net, struct bp_vector vector, size_t me, size_t shares)
{
    for (size_t l = 0; net->restraint.masked && l < net->count; l++) {
        struct bp_weights part = bp_layer_weights(net, l, vector);
        size_t first, last;

        bp_share(net->layers[l].inputs, shares, me, &first, &last);
        part.w = bp_at(net, part.w, first * part.row);
        bp_mask_part(net, l, first, last - first, 0, net->layers[l].outputs, part);
    }
}

void
bp_mask_vector(const struct bp_network *net, struct bp_vector vector)
{
    bp_mask_share(net, vector, 0, 1);
}

double
bp_rate_factor(const struct bp_network *net, bool packed, size_t at, size_t *end)
{
    size_t l = 0;

    *end = packed ? net->layers[0].packed_bias_at : net->layers[0].bias_at;
    while (at >= *end) {
        const struct bp_layer *layer = &net->layers[l++];
        *end = l == net->count ? (packed ? net->packed : net->parameters)
               : packed        ? layer[1].packed_weights_at
                               : layer[1].weights_at;
        if (at < *end)
            return layer->freedom.bias_rate;
        *end = packed ? layer[1].packed_bias_at : layer[1].bias_at;
    }
    return net->layers[l].freedom.rate;
}

size_t
bp_free_weights(const struct bp_network *net, size_t l)
{
    const struct bp_layer *layer = &net->layers[l];
    const size_t weights = layer->inputs * layer->outputs;
    size_t count = 0;

    if (layer->freedom.rate == 0)
        return 0;
    for (size_t i = 0; layer->freedom.mask && i < weights; i++)
        count += layer->freedom.mask[i] != 0;
    return layer->freedom.mask ? count : weights;
}

size_t
bp_free_parameters(const struct bp_network *net)
{
    size_t count = 0;

    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        count += bp_free_weights(net, l);
        count += layer->bias && layer->freedom.bias_rate != 0 ? layer->outputs : 0;
    }
    return count;
}

void
bp_find_free(const struct bp_network *net, unsigned char *free)
{
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_freedom *freedom = &layer->freedom;
        for (size_t i = 0; i < layer->inputs * layer->outputs; i++)
            free[layer->weights_at + i] =
                freedom->rate != 0 && (!freedom->mask || freedom->mask[i] != 0);
        if (layer->bias)
            memset(free + layer->bias_at, freedom->bias_rate != 0, layer->outputs);
    }
}
