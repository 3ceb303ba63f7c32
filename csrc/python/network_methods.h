/* network_methods.h: the methods of a network that loops call often, so that they are C from the call on.
 * network_step.c has the step. Depends on arguments.h and network_object.h. */
#ifndef BP_NETWORK_METHODS_H
#define BP_NETWORK_METHODS_H

#include "arguments.h"
#include "network_object.h"

extern const struct bp_signature bp_classify_signature, bp_loss_signature, bp_losses_signature,
    bp_accuracy_signature, bp_step_signature;

PyObject *bp_network_call(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *bp_network_classify(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);
PyObject *bp_network_loss(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);
PyObject *bp_network_losses(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);
PyObject *bp_network_has_classes(PyObject *self, PyObject *labels);
PyObject *bp_network_usable_threads(PyObject *self, PyObject *nothing);
PyObject *bp_network_accuracy(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);
PyObject *bp_network_step(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);

/* Dropout's keys from the network's own generator, a key for each layer, to be freed; NULL with an exception. */
uint64_t *bp_draw_own_keys(Network *);

/* docstrings.c */
extern const char bp_classify_doc[], bp_loss_doc[], bp_losses_doc[], bp_accuracy_doc[],
    bp_step_doc[];

#endif
