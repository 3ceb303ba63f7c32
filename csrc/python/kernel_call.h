/* kernel_call.h: one call of a function of backprop.kernels, from its arguments to its result.
 * Depends on arguments.h and operands.h. */
#ifndef BP_KERNEL_CALL_H
#define BP_KERNEL_CALL_H

#include "arguments.h"
#include "operands.h"

/* What a kernel computes, without the GIL: from the panels of the operands into those of the result, or where it has
 * none into `target`, which for shapes of (...) holds the first operand's numbers. */
typedef enum bp_status bp_computation(struct bp_kernel_call *, bp_real *target);

struct bp_kernel {
    const char *name, *signature; /* the latter as in operands.h */
    bp_computation *compute;
    const char *of_softmax; /* its signature where it differs, or NULL */
    bp_computation *compute_softmax;
};

/* Reads the arguments, checks the shapes, gathers panels, computes and gives the result, in `out` where one is
 * given; NULL with an exception, and nothing is changed. */
PyObject *bp_call_kernel(PyObject *module, struct bp_kernel, PyObject *const *args, Py_ssize_t,
                         PyObject *names);

#endif
