/* network_terms.h: the terms of the chain rule that a network's Python methods are made of: Network._gradient,
 * _trace and _hessian_vector. Depends on arguments.h. */
#ifndef BP_NETWORK_TERMS_H
#define BP_NETWORK_TERMS_H

#include "arguments.h"

extern const struct bp_signature bp_gradient_signature, bp_trace_signature,
    bp_hessian_vector_signature;

PyObject *bp_network_gradient(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);
PyObject *bp_network_trace(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);
PyObject *bp_network_hessian_vector(PyObject *self, PyObject *const *args, Py_ssize_t,
                                    PyObject *names);

#endif
