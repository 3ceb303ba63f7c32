/* precision.h: how the products of a training are rounded, by name. Depends on module.h. */
#ifndef BP_PRECISION_H
#define BP_PRECISION_H

#include "kernels/mixed.h"
#include "module.h"

/* The table for the precision of that name, on networks with these kernels, or NULL for the
 * network's own. 0, or -1 with a ValueError: an unknown name, a float64 network, or a processor
 * without. */
int bp_read_precision(const struct bp_kernels *, const char *name, const struct bp_mixed **mixed);

/* products(dtype, precision) */
PyObject *bp_products_function(PyObject *module, PyObject *args);

#endif
