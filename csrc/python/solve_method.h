/* solve_method.h: Network._solve, which runs iterations of a whole-batch solver in the core without
 * the GIL. Depends on arguments.h. */
#ifndef BP_SOLVE_METHOD_H
#define BP_SOLVE_METHOD_H

#include "arguments.h"

extern const struct bp_signature bp_solve_signature, bp_levenberg_bytes_signature;

/* (iterations done, why it ended). With pairs, L-BFGS, else Levenberg-Marquardt. `numbers` is what
 * the solver remembers besides: of L-BFGS how many pairs there are and the next one's place; of
 * Levenberg-Marquardt the damping, the effective parameters and a penalty a layer; and of both the
 * iterations done so far. Pairs and numbers are
 * those after the last whole iteration, also when it raises. */
PyObject *bp_network_solve(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);

/* Bytes that Levenberg-Marquardt needs for so many samples, None where that does not fit into a
 * size; primal: with penalties. */
PyObject *bp_network_levenberg_bytes(PyObject *self, PyObject *const *args, Py_ssize_t,
                                     PyObject *names);

#endif
