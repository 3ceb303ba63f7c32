/* module.h: what the files of this folder share. The only folder that sees Python.h and NumPy.
 * Depends on core/. */
#ifndef BP_MODULE_H
#define BP_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* one table of NumPy's functions for all files: module.c fills it in */
#define PY_ARRAY_UNIQUE_SYMBOL backprop_array_api
#ifndef BP_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "core/network/layout.h"

/* the state of one module object */
struct bp_module {
    PyTypeObject *network_type, *optimizer_type;
    PyObject *divergence_error;
    const struct bp_kernels *kernels[BP_DTYPES];
};

/* How often this process has become a child of itself: then threads that held locks are no more. */
unsigned bp_forks(void);

extern struct PyModuleDef bp_module_def;

/* The module's state, found from a type that it made, or a subclass of one; NULL with an
 * exception. */
struct bp_module *bp_module_of_type(PyTypeObject *type);

/* The functions of custom.c. */
extern PyMethodDef bp_custom_methods[];

/* fma_peak(dtype, seconds) */
PyObject *bp_fma_peak_function(PyObject *module, PyObject *args);

/* pairwise_squares(numbers) */
PyObject *bp_pairwise_squares_function(PyObject *module, PyObject *numbers);

/* Sets the exception for a status; returns NULL. The one table of them. */
PyObject *bp_raise(enum bp_status status);

/* The place of `name` in `names`, or -1 and a ValueError that says what kind of name was wrong. */
int bp_find_name(const char *const names[], const char *name, const char *kind);

#endif
