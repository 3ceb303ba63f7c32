#include "layout.h"

#include <assert.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/team.h"

/* sum + a * b, or SIZE_MAX */
static size_t
plus_product(size_t sum, size_t a, size_t b)
{
    return bp_size_sum(sum, bp_size_product(a, b));
}

size_t
bp_room(const struct bp_network *net)
{
    return net->parameters + net->kernels->panel;
}

size_t
bp_packed_room(const struct bp_network *net)
{
    return net->packed + net->kernels->panel * net->kernels->panel;
}

static void
note_factor(struct bp_restraint *r, double factor, size_t l)
{
    r->rated |= factor != 1;
    r->scaled |= factor != 1 && factor != 0;
    if (factor != 0 && l < r->lowest)
        r->lowest = l;
}

void
bp_note_freedom(struct bp_network *net)
{
    struct bp_restraint *r = &net->restraint;

    *r = (struct bp_restraint){.lowest = net->count};
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        r->masked |= layer->freedom.mask != NULL;
        note_factor(r, layer->freedom.rate, l);
        if (layer->bias)
            note_factor(r, layer->freedom.bias_rate, l);
    }
}

enum bp_status
bp_network_lay_out(struct bp_network *net)
{
    const size_t panel = net->kernels->panel;
    /* byte counts, sums of several buffers and signed differences must fit as well */
    const size_t most = SIZE_MAX / 64;

    net->parameters = net->packed = 0;
    net->widest = net->layers[0].inputs;
    for (size_t l = 0; l < net->count; l++) {
        struct bp_layer *layer = &net->layers[l];
        if (layer->outputs > most || layer->inputs > most)
            return BP_TOO_LARGE;
        const size_t panels = bp_panels(net, layer->outputs);

        layer->weights_at = net->parameters;
        net->parameters = plus_product(net->parameters, layer->inputs, layer->outputs);
        layer->bias_at = net->parameters;
        net->parameters = plus_product(net->parameters, layer->bias, layer->outputs);

        layer->packed_stride = bp_padded(layer->inputs) * panel;
        layer->packed_weights_at = net->packed;
        net->packed = plus_product(net->packed, panels, layer->packed_stride);
        layer->packed_bias_at = net->packed;
        net->packed = plus_product(net->packed, panels, layer->bias ? panel : 0);
        if (net->parameters > most || net->packed > most)
            return BP_TOO_LARGE;
        if (layer->outputs > net->widest)
            net->widest = layer->outputs;
    }

    const struct bp_layer *last = &net->layers[net->count - 1];
    net->fused = !last->custom && !net->custom_loss &&
                 ((last->activation == BP_SOFTMAX && net->loss == BP_CROSS_ENTROPY) ||
                  (last->activation == BP_SIGMOID && net->loss == BP_BINARY_CROSS_ENTROPY));
    net->custom = net->custom_loss != NULL;
    net->penalized = net->dropout = false;
    for (size_t l = 0; l < net->count; l++) {
        net->custom |= net->layers[l].custom != NULL;
        net->penalized |= net->layers[l].l1 != 0 || net->layers[l].l2 != 0;
        net->dropout |= net->layers[l].dropout != 0;
    }
    bp_note_freedom(net);
    return BP_OK;
}

/* Copies rows [first, last) of layer l's weights. Some rows at a time, all of their panels: both sides
 * are then read and written in runs that caches and pages like. */
static void
copy_rows(const struct bp_network *net, size_t l, struct bp_weights source, struct bp_weights target,
          size_t first, size_t last)
{
    enum { ROWS = 8 };
    const size_t panel = net->kernels->panel, size = net->kernels->size;
    const size_t outputs = net->layers[l].outputs;

    for (size_t k = first; k < last; k += ROWS) {
        const size_t end = last - k < ROWS ? last : k + ROWS;
        for (size_t j = 0, q = 0; j < outputs; j += panel, q++) {
            const size_t left = outputs - j;
            for (size_t r = k; r < end; r++) {
                const bp_real *in = bp_at(net, source.w, q * source.stride + r * source.row);
                bp_real *out = bp_at(net, target.w, q * target.stride + r * target.row);
                if (left >= panel) /* a constant, which needs no call */
                    memcpy(out, in, BP_PANEL_BYTES);
                else
                    memcpy(out, in, left * size);
            }
        }
    }
}

/* Copies one thread's share of `from` to `to`, which lie differently. */
static void
copy_share(const struct bp_network *net, struct bp_vector from, struct bp_vector to, size_t me,
           size_t threads)
{
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_weights source = bp_layer_weights(net, l, from);
        const struct bp_weights target = bp_layer_weights(net, l, to);
        size_t first, last;
        bp_share(layer->inputs, threads, me, &first, &last);
        copy_rows(net, l, source, target, first, last);
        if (layer->bias && me == 0)
            memcpy(target.bias, source.bias, layer->outputs * net->kernels->size);
    }
}

void
bp_pack_frozen(const struct bp_network *net, const bp_real *parameters, bp_real *packed)
{
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_weights source = bp_layer_weights(net, l, bp_reading(parameters, false));
        const struct bp_weights target =
            bp_layer_weights(net, l, (struct bp_vector){packed, true});
        if (layer->freedom.rate == 0)
            copy_rows(net, l, source, target, 0, layer->inputs);
        if (layer->bias && layer->freedom.bias_rate == 0)
            memcpy(target.bias, source.bias, layer->outputs * net->kernels->size);
    }
}

void
bp_pack(const struct bp_network *net, const bp_real *parameters, bp_real *packed, size_t me,
        size_t threads)
{
    copy_share(net, bp_reading(parameters, false),
               (struct bp_vector){packed, true}, me, threads);
}

void
bp_unpack(const struct bp_network *net, const bp_real *packed, bp_real *parameters, size_t me,
          size_t threads)
{
    copy_share(net, bp_reading(packed, true),
               (struct bp_vector){parameters, false}, me, threads);
}

size_t
bp_first_not_finite(const struct bp_network *net, struct bp_vector vector)
{
    for (size_t l = 0; l < net->count; l++) {
        /* a layer's weights and bias lie next to each other in both layouts; pads are finite */
        const struct bp_layer *layer = &net->layers[l];
        const size_t first = vector.packed ? layer->packed_weights_at : layer->weights_at;
        const size_t end = l + 1 == net->count
                               ? (vector.packed ? net->packed : net->parameters)
                               : (vector.packed ? layer[1].packed_weights_at : layer[1].weights_at);
        if (!net->kernels->all_finite(end - first, bp_at(net, vector.numbers, first)))
            return l;
    }
    return net->count;
}

#ifndef NDEBUG
static bool
is_zero(const struct bp_network *net, const bp_real *number)
{
    return net->kernels->dtype == BP_FLOAT32 ? *(const float *)number == 0 : *(const double *)number == 0;
}

bool
bp_pads_are_zeros(const struct bp_network *net, const bp_real *packed)
{
    const size_t panel = net->kernels->panel;

    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_weights weights =
            bp_layer_weights(net, l, bp_reading(packed, true));
        const size_t last = bp_panels(net, layer->outputs) - 1;

        for (size_t j = layer->outputs - last * panel; j < panel; j++) {
            for (size_t k = 0; k < layer->inputs; k++)
                if (!is_zero(net, bp_at(net, weights.w, last * weights.stride + k * panel + j)))
                    return false;
            if (weights.bias && !is_zero(net, bp_at(net, weights.bias, last * panel + j)))
                return false;
        }
    }
    return true;
}
#endif
