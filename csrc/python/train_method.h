/* train_method.h: Network._train, which runs whole epochs in the core without the GIL. Depends on arguments.h. */
#ifndef BP_TRAIN_METHOD_H
#define BP_TRAIN_METHOD_H

#include "arguments.h"

extern const struct bp_signature bp_train_signature, bp_room_to_share_signature;

/* The epochs done, or -1 where another rank ended the training. x and y are None with a stream. */
PyObject *bp_network_train(PyObject *self, PyObject *const *args, Py_ssize_t, PyObject *names);

/* Bytes, 0 where ranks must not share memory. rows: that a rank has of a batch at most, 0 where nobody knows */
PyObject *bp_network_room_to_share(PyObject *self, PyObject *const *args, Py_ssize_t,
                                   PyObject *names);

#endif
