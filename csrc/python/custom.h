/* custom.h: activations and losses that the user wrote, in Python or as C functions.
 * Depends on module.h and core/network/layout.h. */
#ifndef BP_CUSTOM_H
#define BP_CUSTOM_H

#include "module.h"

#include "core/network/layout.h"

/* A Python callable of arrays, or the address of a C function of doubles. */
struct bp_function {
    PyObject *callable;
    void *address;
};

struct bp_pair {
    struct bp_customs *owner;
    struct bp_function function, derivative;
    struct bp_custom_activation activation; /* the one or the other, for the core */
    struct bp_custom_loss loss;
};

/* All of a network's. */
struct bp_customs {
    atomic_bool failed; /* one has, and its exception is set */
    bool python;        /* one of them is a callable: only the caller's thread may compute */
    size_t layers;
    struct bp_pair loss, activations[]; /* one per layer; unused ones are empty */
};

struct bp_customs *bp_new_customs(size_t layers);

/* Reads a tuple of a function and its derivative, and of a loss also how many columns y has, 0 for as
 * many as outputs. 0, or -1 with an exception. */
int bp_read_activation(struct bp_customs *, PyObject *tuple, size_t layer);
int bp_read_loss(struct bp_customs *, PyObject *tuple);

/* Whether this thread is in one of a network's C functions, on any thread that computes for it. */
bool bp_is_called_by(const struct bp_customs *);

int bp_visit_customs(struct bp_customs *, visitproc, void *arg);
void bp_clear_customs(struct bp_customs *); /* drops the callables */

#endif
