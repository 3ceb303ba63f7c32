/* solve_method.h: Network._solve, which runs iterations of a whole-batch solver in the core without
 * the GIL. Depends on arguments.h. */
#ifndef BP_SOLVE_METHOD_H
#define BP_SOLVE_METHOD_H

#include "arguments.h"

extern const struct bp_signature bp_solve_signature, bp_levenberg_bytes_signature;

/* The numbers of a Bayesian state, in their order: an enumerator, and its name for Python. */
#define BP_EACH_BAYESIAN_NUMBER(NUMBER)                                                            \
    NUMBER(BP_BAYES_DAMPING, "damping")                                                            \
    NUMBER(BP_BAYES_EFFECTIVE, "effective")                                                        \
    NUMBER(BP_BAYES_LOG_EVIDENCE, "log_evidence")                                                  \
    NUMBER(BP_BAYES_STAGE, "stage") /* an enum bp_stage */                                         \
    NUMBER(BP_BAYES_WAITED, "waited")                                                              \
    NUMBER(BP_BAYES_KEPT_EFFECTIVE, "kept_effective")                                              \
    NUMBER(BP_BAYES_KEPT_LOG_EVIDENCE, "kept_log_evidence")                                        \
    NUMBER(BP_BAYES_LAYERS, "layers") /* for who reads the penalties; 0 before there are any */    \
    NUMBER(BP_BAYES_STEPS, "steps")

#define BP_ENUMERATOR(enumerator, name) enumerator,
enum bp_bayesian_number { BP_EACH_BAYESIAN_NUMBER(BP_ENUMERATOR) BP_BAYESIAN_NUMBERS };
#undef BP_ENUMERATOR

/* (iterations done, why it ended). With pairs, L-BFGS, else Levenberg-Marquardt. `numbers` is what
 * the solver remembers besides: of L-BFGS how many pairs there are and the next one's place; of
 * Levenberg-Marquardt the damping, or those above; and last the iterations done so far. Pairs,
 * numbers, penalties and what is kept are those after the last whole iteration, also when it
 * raises. */
PyObject *bp_network_solve(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);

/* Bytes that Levenberg-Marquardt needs for so many samples, None where that does not fit into a
 * size; primal: with penalties. */
PyObject *bp_network_levenberg_bytes(PyObject *self, PyObject *const *args, Py_ssize_t,
                                     PyObject *names);

#endif
