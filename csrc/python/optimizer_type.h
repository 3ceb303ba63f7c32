/* optimizer_type.h: the Python object that holds an optimizer's settings and state.
 * Depends on arguments.h and core/network/optimizer.h. */
#ifndef BP_OPTIMIZER_TYPE_H
#define BP_OPTIMIZER_TYPE_H

#include "arguments.h"

#include "core/network/optimizer.h"

/* An optimizer as it is while the core works with it: another thread may change the object, or
 * replace its state, meanwhile. */
struct bp_held_optimizer {
    struct bp_optimizer optimizer;
    PyObject *owners[BP_STATES]; /* of the memory of its states */
};

/* Reads the optimizer behind `object`, whose states are made ready for a network of this layout:
 * new zeros at first. A rule without state fits every network. The rate is that of the next step.
 * 0, or -1 with TypeError, ValueError, MemoryError or what its schedule raised. */
int bp_hold_optimizer(struct bp_held_optimizer *, struct bp_module *, PyObject *object,
                      const struct bp_network *);
void bp_release_optimizer(struct bp_held_optimizer *);

/* Its settings, borrowed: the states may be missing. NULL with TypeError. */
const struct bp_optimizer *bp_optimizer_settings(const struct bp_module *, PyObject *object);

extern PyType_Spec bp_optimizer_spec;

extern const struct bp_signature bp_optimizer_setup_signature;

/* Notes how many steps the optimizer has done. */
void bp_set_steps(PyObject *object, uint64_t steps);

#endif
