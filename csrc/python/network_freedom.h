/* network_freedom.h: how a layer's parameters move. Depends on arguments.h. */
#ifndef BP_NETWORK_FREEDOM_H
#define BP_NETWORK_FREEDOM_H

#include "arguments.h"

extern const struct bp_signature bp_set_freedom_signature;

/* _set_freedom(layer=, lr=, bias_lr=, mask=): mask is a C-contiguous array of bool, (inputs, outputs), which is
 * copied, or None. Weights that it masks are 0 then. */
PyObject *bp_network_set_freedom(PyObject *network, PyObject *const *args, Py_ssize_t count,
                                 PyObject *names);

#endif
