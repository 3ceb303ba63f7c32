/* sparse.h: from matrices of scipy.sparse to the core's sparse samples, checked before anything is read. SciPy is
 * not imported: who passes such a matrix has done so. Depends on arrays.h and core/data/sparse.h. */
#ifndef BP_SPARSE_H
#define BP_SPARSE_H

#include "arrays.h"

/* How such an object lies, as rows x columns numbers (1-D: one row), and what keeps its arrays alive, new references:
 * the object itself where it is a CSR whose columns rise in each row, else one of these numbers that is.
 * 0, or -1 with a TypeError or ValueError and nothing held. */
int bp_read_sparse(PyObject *object, const char *name, struct bp_array *array, PyObject **matrix,
                   PyObject **arrays);

extern PyMethodDef bp_sparse_methods[]; /* as_rows, is_sparse, for Python */

#endif
