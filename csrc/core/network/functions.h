/* functions.h: a network's activations and its loss, whether they are the kernels' or the user's.
 * Depends on layout.h. All of it reads and writes panels, `stride` apart. */
#ifndef BP_FUNCTIONS_H
#define BP_FUNCTIONS_H

#include "layout.h"

/* a = g(z) of layer l, in panels first <= q < last, of which z and a are the first; not softmax's */
void bp_apply_activation(const struct bp_network *, size_t l, size_t first, size_t last,
                         size_t rows, const bp_real *z, bp_real *a, size_t stride);

/* out = g'(z) factor of layer l, or g'(z) where factor is NULL; out may be factor. Reads of z and a
 * what bp_needs_z says. */
void bp_apply_slope(const struct bp_network *, size_t l, size_t first, size_t last, size_t rows,
                    const bp_real *z, const bp_real *a, const bp_real *factor, bp_real *out,
                    size_t stride);

/* Whether the slope of layer l is computed from z; from a otherwise. */
static inline bool
bp_needs_z(const struct bp_layer *layer)
{
    return layer->custom || bp_derivative_needs_z(layer->activation);
}

/* losses[n] = C_0 of row n; z as for the kernel */
void bp_apply_loss(const struct bp_network *, size_t rows, const bp_real *z, const bp_real *a,
                   const bp_real *y, size_t stride, double *losses);

/* out = dC_0/da; pads become 0 */
void bp_apply_loss_derivative(const struct bp_network *, size_t rows, const bp_real *a,
                              const bp_real *y, bp_real *out, size_t stride);

/* Whether outputs stand for classes: of labels they do, and in a network whose loss is a cross-entropy or whose
 * outputs are those of sigmoid or softmax; of functions that are the user's nobody can tell, so they may. */
bool bp_has_classes(const struct bp_network *, bool labels);

/* Whether one of the user's functions has failed. */
static inline bool
bp_failed(const struct bp_network *net)
{
    return net->failed && atomic_load_explicit(net->failed, memory_order_relaxed);
}

#endif
