/* network_jacobians.h: J = ∂a^(L)/∂x in Python: Network._jacobian, jacobian_vector and
 * vector_jacobian. Depends on arguments.h. */
#ifndef BP_NETWORK_JACOBIANS_H
#define BP_NETWORK_JACOBIANS_H

#include "arguments.h"

extern const struct bp_signature bp_jacobian_signature, bp_jacobian_vector_signature,
    bp_vector_jacobian_signature;

PyObject *
bp_network_jacobian(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);
PyObject *
bp_network_jacobian_vector(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);
PyObject *
bp_network_vector_jacobian(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);

/* docstrings.c */
extern const char bp_jacobian_vector_doc[], bp_vector_jacobian_doc[];

#endif
