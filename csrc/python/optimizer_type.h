/* optimizer_type.h: the Python object that holds an optimizer's settings and state.
 * Depends on module.h and core/optimizer.h. */
#ifndef BP_OPTIMIZER_TYPE_H
#define BP_OPTIMIZER_TYPE_H

#include "module.h"

#include "core/optimizer.h"

struct bp_optimizer_object {
    PyObject_HEAD
    struct bp_optimizer optimizer; /* its state lies in the array */
    bool ready;                    /* _setup has been called */
    PyObject *state;               /* (parameters,) array, or NULL before the first step */
};

/* The optimizer behind `object`, its state made ready for a network of this layout: new zeros at
 * first. A rule without state fits every network. NULL with TypeError, ValueError or
 * MemoryError. */
struct bp_optimizer *bp_optimizer_for(struct bp_module *, PyObject *object,
                                      const struct bp_network *);

#endif
