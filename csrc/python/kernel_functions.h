/* kernel_functions.h: backprop.kernels, the steps of the lesson one by one, on NumPy arrays, by the kernels that
 * training uses. Docstrings stand in backprop/kernels.py. Depends on module.h. */
#ifndef BP_KERNEL_FUNCTIONS_H
#define BP_KERNEL_FUNCTIONS_H

#include "module.h"

extern PyMethodDef bp_kernel_methods[];

#endif
