/* population_methods.h: methods by which a network trains and asks many of its shape, whose parameters
 * lie in arrays of Python's; its own are not touched. Depends on arguments.h. */
#ifndef BP_POPULATION_METHODS_H
#define BP_POPULATION_METHODS_H

#include "arguments.h"

extern const struct bp_signature bp_train_population_signature, bp_population_outputs_signature,
    bp_population_scores_signature;

PyObject *bp_network_train_population(PyObject *self, PyObject *const *args, Py_ssize_t,
                                      PyObject *names);
PyObject *bp_network_population_outputs(PyObject *self, PyObject *const *args, Py_ssize_t,
                                        PyObject *names);
PyObject *bp_network_population_scores(PyObject *self, PyObject *const *args, Py_ssize_t,
                                       PyObject *names);

#endif
