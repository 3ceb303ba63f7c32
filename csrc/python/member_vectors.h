/* member_vectors.h: arrays of Python's that hold something of each member of a population.
 * Depends on module.h. */
#ifndef BP_MEMBER_VECTORS_H
#define BP_MEMBER_VECTORS_H

#include "module.h"

/* The memory of a writable, C-contiguous array of `count` numbers of this type, as a population's own are; NULL
 * with an exception that calls it `name`. */
void *bp_memory_of(PyObject *object, const char *name, int type_number, size_t count);

/* The parameters of all members, (members, parameters) of the network's dtype, and how many members there are;
 * NULL with an exception. */
bp_real *bp_read_parameters(PyObject *object, const struct bp_network *, size_t *members);

#endif
