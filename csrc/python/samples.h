/* samples.h: x, y and what goes with them, as users pass them, as the core's samples. Depends on arrays.h and sparse.h. */
#ifndef BP_SAMPLES_H
#define BP_SAMPLES_H

#include "arrays.h"

/* samples and targets, and the objects that keep them alive */
struct bp_samples {
    struct bp_data data;
    bool single; /* x was 1-D: one sample, and results lack the axis of samples */
    PyObject *x; /* an array; of a sparse x, a tuple of its arrays */
    PyObject *y, *mask, *weights;
};

/* Fills `samples` from x, and from y unless it is NULL; `name` and `y_name` are for messages.
 * 0, or -1 with a TypeError or ValueError and nothing held. */
int bp_read_samples(struct bp_samples *samples, const struct bp_network *net, PyObject *x,
                    PyObject *y, const char *x_name, const char *y_name);

/* Adds dC_0/da of the outputs in the place of y: (n, outputs), or as y may have it for one sample or
 * one output. */
int bp_read_derivatives(struct bp_samples *samples, const struct bp_network *net, PyObject *object,
                        const char *name);

/* Adds w_n: (n,) real numbers, finite, none negative, not all zero unless `zeros`; for one sample () or (1,). */
int bp_read_weights(struct bp_samples *samples, PyObject *weights, const char *name, bool zeros);

/* Fills `samples` from what is to be validated on, a tuple (x, y) or (x, y, sample_weight); 0, or -1 with an
 * exception. */
int bp_read_validation(struct bp_samples *samples, const struct bp_network *net, PyObject *tuple);

/* An array of x's shape that goes with it, called `name`: a new reference and how it lies, or NULL with an
 * exception. */
PyArrayObject *bp_read_like_x(const struct bp_samples *samples, PyObject *object, const char *name,
                              struct bp_array *array);

/* Adds which targets are there, from a bool array of y's shape. */
int bp_read_mask(struct bp_samples *samples, const struct bp_network *net, PyObject *mask);

/* Whether the loss takes such targets, those that the mask leaves out aside: cross-entropies take numbers from
 * 0 to 1, and NaN. 0, or -1 with a ValueError; once y and a mask are read. */
int bp_check_targets(const struct bp_samples *, const struct bp_network *, const char *name);

void bp_release_samples(struct bp_samples *samples);

/* -1 with a ValueError where there are more samples than the core counts when it trains. */
int bp_check_sample_count(const struct bp_data *, const char *name);

#endif
