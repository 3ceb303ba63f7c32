/* numbers.h: vectors of the engine's own that users see as arrays, such as parameters and what optimizers remember.
 * The engine reads the memory, never an array on it: users may have reshaped that, or pointed it elsewhere.
 * Depends on module.h. */
#ifndef BP_NUMBERS_H
#define BP_NUMBERS_H

#include "module.h"

struct bp_numbers {
    PyObject *owner; /* of the memory; every array on it holds a reference. NULL where there are none */
    bp_real *at;     /* [count], and a panel behind it, which kernels may read */
    size_t count;
    enum bp_dtype dtype;
};

/* `count` zeros; 0, or -1 with a MemoryError. */
int bp_new_numbers(struct bp_numbers *, size_t count, enum bp_dtype);

/* A new writable array (count,) on them. */
PyObject *bp_array_of_numbers(const struct bp_numbers *);

void bp_release_numbers(struct bp_numbers *);

/* Takes over `memory` from bp_allocate: a new C-contiguous, writable array on it. */
PyObject *bp_array_on(void *memory, int dimensions, const npy_intp *shape, int type_number);

static inline int
bp_type_number(enum bp_dtype dtype)
{
    return dtype == BP_FLOAT32 ? NPY_FLOAT : NPY_DOUBLE;
}

#endif
