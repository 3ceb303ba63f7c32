/* network_type.h: the Python object around a bp_network. Depends on module.h, arrays.h, core/. */
#ifndef BP_NETWORK_TYPE_H
#define BP_NETWORK_TYPE_H

#include "arrays.h"
#include "module.h"

#include "core/passes/workspace.h"
#include "custom.h"

typedef struct bp_network_object {
    PyObject_HEAD
    struct bp_module *module;
    struct bp_network net;  /* net.count is 0 before _setup */
    struct bp_workspace ws; /* kept between calls while it is small */
    struct bp_customs *customs; /* the user's functions, or NULL without any */
    PyObject *parameters;   /* the array of them, in storage order, with bp_room behind it */
    PyThread_type_lock lock; /* held while the core works on the network, the GIL being released */
    atomic_ulong owner;      /* the thread that holds the lock, or 0 */
    atomic_ulong reader;     /* the thread that it waits for while it trains on a stream, or 0 */
} Network;

/* Waits until no other thread computes with the network. 0, or -1 with an exception: not set up, a
 * signal handler raised, or this thread itself is in the middle of a computation, or feeds one. */
int bp_enter(Network *);
void bp_leave(Network *);

/* [bp_room] numbers, in storage order */
bp_real *bp_parameters_of(Network *);

/* Network._train: see train_method.c */
PyObject *bp_network_train(PyObject *self, PyObject *args);
PyObject *bp_network_room_to_share(PyObject *self, PyObject *args);

/* second_order.c */
PyObject *bp_network_jacobian(PyObject *self, PyObject *x);
PyObject *bp_network_hessian_vector(PyObject *self, PyObject *args);

/* docstrings.c */
extern const char bp_classify_doc[], bp_loss_doc[], bp_losses_doc[], bp_accuracy_doc[],
    bp_step_doc[];

#endif
