/* arrays.h: from arrays that users pass to what the core takes. Depends on module.h and core/data/arrays.h.
 * Nothing is copied but lists: the core reads the caller's arrays, whatever their type, strides,
 * alignment and byte order. */
#ifndef BP_ARRAYS_H
#define BP_ARRAYS_H

#include "module.h"

#include "core/data/arrays.h"

/* Whether an object is a scipy.sparse matrix or array; SciPy is not imported for it. */
bool bp_is_scipy_sparse(PyObject *object);

/* 0, or -1 with a TypeError for one, where every number is needed. */
int bp_refuse_sparse(PyObject *object, const char *name);

/* `object` itself if it is an array, else an array of it: a new reference; of objects that are numbers, such as the
 * columns of a table, an array of numbers. NULL with a TypeError or ValueError: for ragged lists, masked entries,
 * objects that are no numbers, sparse matrices. */
PyArrayObject *bp_as_array(PyObject *object, const char *name);

extern PyMethodDef bp_array_methods[]; /* as_array, for Python */

/* An array of numbers of any real type, from an object: a new reference to it, and how it lies in
 * `array` as rows x columns (1-D: one row; 0-D: one number). NULL with a TypeError. */
PyArrayObject *bp_read_numbers(PyObject *object, const char *name, struct bp_array *array);

/* "(3, 4)", a new reference, for messages */
PyObject *bp_shape_text(PyArrayObject *array);

/* Raises ValueError: the array called `name` must have the shape that `expected` makes of a, b and a
 * again, as far as it asks for them. -1. */
int bp_wrong_shape(PyArrayObject *array, const char *name, const char *expected, size_t a, size_t b);

/* The numbers of a C-contiguous, writable float64 array of `count`; NULL with an exception. */
double *bp_doubles(PyObject *object, const char *name, size_t count);

#endif
