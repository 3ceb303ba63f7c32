/* arrays.h: from what users pass to what the core takes. Depends on module.h and core/data/arrays.h.
 * Nothing is copied but lists: the core reads the caller's arrays, whatever their type, strides,
 * alignment and byte order. */
#ifndef BP_ARRAYS_H
#define BP_ARRAYS_H

#include "module.h"

#include "core/data/arrays.h"

/* samples and targets, and the objects that keep them alive */
struct bp_samples {
    struct bp_data data;
    bool single; /* x was 1-D: one sample, and results lack the axis of samples */
    PyObject *x, *y, *mask;
};

/* Fills `samples` from x, and from y unless it is NULL; `name` and `y_name` are for messages.
 * 0, or -1 with a TypeError or ValueError and nothing held. */
int bp_read_samples(struct bp_samples *samples, const struct bp_network *net, PyObject *x,
                    PyObject *y, const char *x_name, const char *y_name);

/* Adds which targets are there, from a bool array of y's shape. */
int bp_read_mask(struct bp_samples *samples, const struct bp_network *net, PyObject *mask);

/* Whether the loss takes such targets, those that the mask leaves out aside: cross-entropies take numbers from
 * 0 to 1, and NaN. 0, or -1 with a ValueError; once y and a mask are read. */
int bp_check_targets(const struct bp_samples *, const struct bp_network *, const char *name);

void bp_release_samples(struct bp_samples *samples);

/* An array of numbers of any real type, from an object: a new reference to it, and how it lies in
 * `array` as rows x columns (1-D: one row; 0-D: one number). NULL with a TypeError. */
PyArrayObject *bp_read_numbers(PyObject *object, const char *name, struct bp_array *array);

/* "(3, 4)", a new reference, for messages */
PyObject *bp_shape_text(PyArrayObject *array);

/* The numbers of a C-contiguous, writable float64 array of `count`; NULL with an exception. */
double *bp_doubles(PyObject *object, const char *name, size_t count);

/* The weights of the samples: finite, none negative, not all zero unless `zeros`; NULL with an exception. */
double *bp_read_sample_weights(PyObject *object, size_t samples, bool zeros);

/* -1 with a ValueError where there are more samples than the core counts when it trains. */
int bp_check_sample_count(const struct bp_data *, const char *name);

#endif
