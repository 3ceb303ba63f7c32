#include "functions.h"

/* the columns of layer l that lie in panels first <= q < last */
static size_t
columns_in(const struct bp_network *net, size_t l, size_t first, size_t last)
{
    return bp_end_of(net, last, net->layers[l].outputs) - first * net->kernels->panel;
}

void
bp_apply_activation(const struct bp_network *net, size_t l, size_t first, size_t last, size_t rows,
                    const bp_real *z, bp_real *a, size_t stride)
{
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_custom_activation *custom = net->layers[l].custom;

    if (custom && first < last && rows > 0)
        custom->g(custom->context, kernels, rows, columns_in(net, l, first, last), z, a, stride);
    for (size_t q = 0; !custom && q < last - first; q++)
        kernels->activate(net->layers[l].activation, rows * kernels->panel,
                          bp_const_at(net, z, q * stride), bp_at(net, a, q * stride));
}

void
bp_apply_slope(const struct bp_network *net, size_t l, size_t first, size_t last, size_t rows,
               const bp_real *z, const bp_real *a, const bp_real *factor, bp_real *out,
               size_t stride)
{
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_custom_activation *custom = net->layers[l].custom;

    if (custom && first < last && rows > 0)
        custom->g_prime(custom->context, kernels, rows, columns_in(net, l, first, last), z, factor,
                        out, stride);
    for (size_t q = 0; !custom && q < last - first; q++)
        kernels->derivative(net->layers[l].activation, rows * kernels->panel,
                            bp_const_at(net, z, q * stride), bp_const_at(net, a, q * stride),
                            factor ? bp_const_at(net, factor, q * stride) : NULL,
                            bp_at(net, out, q * stride));
}

void
bp_apply_loss(const struct bp_network *net, size_t rows, const bp_real *z, const bp_real *a,
              const bp_real *y, size_t stride, double *losses)
{
    const size_t outputs = net->layers[net->count - 1].outputs;
    const struct bp_custom_loss *custom = net->custom_loss;

    if (!custom)
        net->kernels->loss(net->loss, rows, outputs, z, a, y, stride, losses);
    else if (rows > 0)
        custom->value(custom->context, net->kernels, rows, outputs, a, y, stride, losses);
}

void
bp_apply_loss_derivative(const struct bp_network *net, size_t rows, const bp_real *a,
                         const bp_real *y, bp_real *out, size_t stride)
{
    const size_t outputs = net->layers[net->count - 1].outputs;
    const struct bp_custom_loss *custom = net->custom_loss;

    if (!custom)
        net->kernels->loss_derivative(net->loss, rows, outputs, a, y, out, stride);
    else if (rows > 0)
        custom->derivative(custom->context, net->kernels, rows, outputs, a, y, out, stride);
}

bool
bp_has_classes(const struct bp_network *net, bool labels)
{
    const struct bp_layer *last = &net->layers[net->count - 1];

    if (bp_targets(net) != last->outputs)
        return false;
    return labels || net->custom_loss || last->custom || net->loss == BP_CROSS_ENTROPY ||
           net->loss == BP_BINARY_CROSS_ENTROPY || last->activation == BP_SIGMOID ||
           last->activation == BP_SOFTMAX;
}
