#include "samples.h"

#include <math.h>

#include "sparse.h"

/* The same for a sparse x, of shape (n, inputs), or (inputs,). */
static int
read_sparse_x(struct bp_samples *samples, const struct bp_network *net, PyObject *x, const char *name)
{
    const size_t inputs = net->layers[0].inputs;
    const struct bp_array *array = &samples->data.x;
    PyObject *matrix;
    if (bp_read_sparse(x, name, &samples->data.x, &matrix, &samples->x) < 0)
        return -1;
    PyObject *shape = PyObject_GetAttrString(matrix, "shape");
    Py_DECREF(matrix);
    if (!shape)
        return -1;
    samples->single = PyTuple_GET_SIZE(shape) == 1;
    const bool good = array->columns == inputs && array->rows > 0;
    if (!good)
        PyErr_Format(PyExc_ValueError, "%s must have shape (n, %zu)%s, but has shape %S", name, inputs,
                     array->columns == inputs ? " with at least one sample" : ", or one dimension for one sample",
                     shape);
    Py_DECREF(shape);
    return good ? 0 : -1;
}

static int
read_x(struct bp_samples *samples, const struct bp_network *net, PyObject *x, const char *name)
{
    const size_t inputs = net->layers[0].inputs;
    if (bp_is_scipy_sparse(x))
        return read_sparse_x(samples, net, x, name);
    PyArrayObject *array = bp_read_numbers(x, name, &samples->data.x);
    if (!array)
        return -1;
    samples->x = (PyObject *)array;

    const int dimensions = PyArray_NDIM(array);
    samples->single = dimensions == 1;
    if ((dimensions != 1 && dimensions != 2) || samples->data.x.columns != inputs)
        return bp_wrong_shape(array, name, "(n, %zu), or (%zu,) for one sample", inputs, inputs);
    if (samples->data.x.rows == 0)
        return bp_wrong_shape(array, name, "(n, %zu) with at least one sample", inputs, 0);
    return 0;
}

/* Samples that are looked at before signal handlers may run: some milliseconds. */
enum { CHECKED_TOGETHER = 1 << 20 };

/* So many rows of an array from row n on, or what is left of them. */
static struct bp_array
part_of(const struct bp_array *array, size_t n)
{
    const size_t left = array->rows - n;
    return bp_part_of(array, n, left < CHECKED_TOGETHER ? left : CHECKED_TOGETHER);
}

/* Whether every one of these numbers is the index of an output. */
static int
check_labels(PyArrayObject *object, const struct bp_array *array, size_t outputs, const char *name)
{
    const size_t rows = array->rows;

    if (array->type >= BP_HALF) {
        PyErr_Format(PyExc_TypeError,
                     "%s must have shape (%zu, %zu), or be integer class labels of shape (%zu,), but "
                     "has one number of dtype %S a sample",
                     name, rows, outputs, rows, (PyObject *)PyArray_DESCR(object));
        return -1;
    }
    int64_t wrong;
    bool valid = true;
    for (size_t n = 0; n < rows && valid; n += CHECKED_TOGETHER) {
        const struct bp_array part = part_of(array, n);
        Py_BEGIN_ALLOW_THREADS
        valid = bp_labels_valid(&part, outputs, &wrong);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0)
            return -1;
    }
    if (!valid) {
        PyObject *label = array->type == BP_UINT64 ? PyLong_FromUnsignedLongLong((uint64_t)wrong)
                                                   : PyLong_FromLongLong(wrong);
        if (label)
            PyErr_Format(PyExc_ValueError,
                         "labels in %s must be 0 to %zu, one for each of the %zu outputs, but one is %S",
                         name, outputs - 1, outputs, label);
        Py_XDECREF(label);
        return -1;
    }
    return 0;
}

/* Raises ValueError for the shape of y. */
static int
wrong_targets(const struct bp_samples *samples, PyArrayObject *y, const char *name, size_t targets,
              bool labels)
{
    if (samples->single)
        return bp_wrong_shape(y, name,
                              labels         ? "(%zu,), or () for a label, for one sample"
                              : targets == 1 ? "(%zu,) or () for one sample"
                                             : "(%zu,) for one sample",
                              targets, 0);
    return bp_wrong_shape(y, name,
                          labels         ? "(%zu, %zu), or (%zu,) for labels"
                          : targets == 1 ? "(%zu, %zu), or (%zu,)"
                                         : "(%zu, %zu)",
                          samples->data.x.rows, targets);
}

/* y, or what is in its place: so many targets a sample, for which a label may stand with `labels`. */
static int
read_targets(struct bp_samples *samples, PyObject *y, const char *name, size_t targets, bool labels)
{
    const size_t rows = samples->data.x.rows;
    struct bp_array *array = &samples->data.y;
    PyArrayObject *object = bp_read_numbers(y, name, array);
    if (!object)
        return -1;
    samples->y = (PyObject *)object;

    const int dimensions = PyArray_NDIM(object);
    const npy_intp *shape = PyArray_DIMS(object);
    /* axes of samples that y has: none for one sample */
    const int sample_axes = samples->single ? 0 : 1;
    const bool every = samples->single || (dimensions > 0 && (size_t)shape[0] == rows);

    if (dimensions == sample_axes + 1 && array->columns == targets && every)
        return 0;
    if (dimensions != sample_axes || !every || (targets > 1 && !labels))
        return wrong_targets(samples, object, name, targets, labels);
    /* one number a sample: the only target, or a label */
    if (!samples->single)
        array->row_stride = PyArray_STRIDES(object)[0];
    array->rows = rows;
    array->columns = 1;
    samples->data.labels = labels;
    return labels ? check_labels(object, array, targets, name) : 0;
}

static int
read_y(struct bp_samples *samples, const struct bp_network *net, PyObject *y, const char *name)
{
    const size_t outputs = net->layers[net->count - 1].outputs, targets = bp_targets(net);

    return read_targets(samples, y, name, targets, outputs > 1 && targets == outputs);
}

int
bp_read_samples(struct bp_samples *samples, const struct bp_network *net, PyObject *x, PyObject *y,
                const char *x_name, const char *y_name)
{
    *samples = (struct bp_samples){0};
    if (read_x(samples, net, x, x_name) < 0 || (y && read_y(samples, net, y, y_name) < 0)) {
        bp_release_samples(samples);
        return -1;
    }
    return 0;
}

int
bp_read_derivatives(struct bp_samples *samples, const struct bp_network *net, PyObject *object,
                    const char *name)
{
    samples->data.derivatives = true;
    return read_targets(samples, object, name, net->layers[net->count - 1].outputs, false);
}

int
bp_read_weights(struct bp_samples *samples, PyObject *object, const char *name, bool zeros)
{
    const size_t rows = samples->data.x.rows;
    struct bp_array array;
    PyArrayObject *given = bp_read_numbers(object, name, &array);
    if (!given)
        return -1;
    const int dimensions = PyArray_NDIM(given);
    if ((dimensions != 1 && !(dimensions == 0 && samples->single)) ||
        (size_t)PyArray_SIZE(given) != rows) {
        (void)bp_wrong_shape(given, name, "(%zu,)", rows, 0);
        Py_DECREF(given);
        return -1;
    }
    samples->weights =
        PyArray_FromArray(given, PyArray_DescrFromType(NPY_DOUBLE), NPY_ARRAY_IN_ARRAY);
    Py_DECREF(given);
    if (!samples->weights)
        return -1;

    const double *weights = PyArray_DATA((PyArrayObject *)samples->weights);
    double sum = 0;
    for (size_t n = 0; n < rows; n++) {
        if (n % CHECKED_TOGETHER == 0 && PyErr_CheckSignals() < 0)
            return -1;
        if (!(weights[n] >= 0 && isfinite(weights[n]))) {
            PyErr_Format(PyExc_ValueError,
                         "%s must be finite and not negative, but entry %zu is not", name, n);
            return -1;
        }
        sum += weights[n];
    }
    if (!(sum > 0) && !zeros) {
        PyErr_Format(PyExc_ValueError, "%s must not be zero for every sample", name);
        return -1;
    }
    samples->data.weights = weights;
    return 0;
}

int
bp_read_validation(struct bp_samples *samples, const struct bp_network *net, PyObject *tuple)
{
    const Py_ssize_t count = PyTuple_Check(tuple) ? PyTuple_GET_SIZE(tuple) : 0;

    if (count < 2 || count > 4) {
        PyErr_Format(PyExc_TypeError,
                     "validation must be (x, y), (x, y, sample_weight) or (x, y, sample_weight, target_mask), "
                     "not %R",
                     tuple);
        return -1;
    }
    PyObject *weights = count > 2 ? PyTuple_GET_ITEM(tuple, 2) : Py_None;
    PyObject *mask = count > 3 ? PyTuple_GET_ITEM(tuple, 3) : Py_None;
    if (bp_read_samples(samples, net, PyTuple_GET_ITEM(tuple, 0), PyTuple_GET_ITEM(tuple, 1),
                        "validation x", "validation y") < 0 ||
        (mask != Py_None && bp_read_mask(samples, net, mask) < 0) ||
        bp_check_targets(samples, net, "validation y") < 0)
        return -1;
    return weights == Py_None
               ? 0
               : bp_read_weights(samples, weights, "validation sample_weight", false);
}

PyArrayObject *
bp_read_like_x(const struct bp_samples *samples, PyObject *object, const char *name,
               struct bp_array *array)
{
    const struct bp_array *x = &samples->data.x;
    PyArrayObject *numbers = bp_read_numbers(object, name, array);

    if (!numbers)
        return NULL;
    const int axes = samples->single ? 1 : 2;
    const npy_intp *shape = PyArray_DIMS(numbers);
    if (PyArray_NDIM(numbers) == axes && (size_t)shape[axes - 1] == x->columns &&
        (axes == 1 || (size_t)shape[0] == x->rows))
        return numbers;
    if (samples->single)
        (void)bp_wrong_shape(numbers, name, "(%zu,), as x has", x->columns, 0);
    else
        (void)bp_wrong_shape(numbers, name, "(%zu, %zu), as x has", x->rows, x->columns);
    Py_DECREF(numbers);
    return NULL;
}

int
bp_read_mask(struct bp_samples *samples, const struct bp_network *net, PyObject *mask)
{
    const size_t outputs = net->layers[net->count - 1].outputs, rows = samples->data.x.rows;
    const struct bp_array *y = &samples->data.y;
    struct bp_array *array = &samples->data.mask;

    if (samples->data.labels || net->custom_loss) {
        PyErr_Format(PyExc_ValueError, "target_mask needs %s",
                     net->custom_loss ? "one of the engine's losses" : "targets of shape (n, outputs)");
        return -1;
    }
    PyArrayObject *object = bp_read_numbers(mask, "target_mask", array);
    if (!object)
        return -1;
    samples->mask = (PyObject *)object;
    if (array->type != BP_BOOL) {
        PyErr_Format(PyExc_TypeError, "target_mask must be of dtype bool, but is of dtype %S",
                     (PyObject *)PyArray_DESCR(object));
        return -1;
    }
    if (!PyArray_SAMESHAPE(object, (PyArrayObject *)samples->y))
        return bp_wrong_shape(object, "target_mask", y->columns == 1 ? "(%zu,) or (%zu, 1), as y has"
                                                                  : "(%zu, %zu), as y has",
                           rows, y->columns == 1 ? rows : outputs);
    array->rows = y->rows;
    array->columns = y->columns;
    if (PyArray_NDIM(object) == 1 && !samples->single)
        array->row_stride = PyArray_STRIDES(object)[0];
    return 0;
}

/* Raises ValueError for the target in a row and a column. */
static int
name_target(const struct bp_samples *samples, enum bp_loss loss, const char *name, size_t row,
            size_t column)
{
    PyArrayObject *array = (PyArrayObject *)samples->y;
    const struct bp_array *y = &samples->data.y;
    const char *at = y->data + (ptrdiff_t)row * y->row_stride + (ptrdiff_t)column * y->column_stride;
    PyObject *value = PyArray_Scalar((void *)at, PyArray_DESCR(array), (PyObject *)array);
    PyObject *place = PyArray_NDIM(array) == 2   ? PyUnicode_FromFormat("[%zu, %zu]", row, column)
                      : PyArray_NDIM(array) == 0 ? PyUnicode_FromString("")
                                                 : PyUnicode_FromFormat("[%zu]", row + column);

    if (value && place)
        PyErr_Format(PyExc_ValueError,
                     "the loss '%s' takes targets from 0 to 1, but %s%U is %S%s", bp_loss_names[loss],
                     name, place, value,
                     y->columns == 1 && y->type < BP_HALF ? "; two classes are labelled 0 and 1" : "");
    Py_XDECREF(value);
    Py_XDECREF(place);
    return -1;
}

int
bp_check_targets(const struct bp_samples *samples, const struct bp_network *net, const char *name)
{
    enum { MANY = 1 << 13 }; /* worth giving up the GIL for */
    static const double slack = 1e-6; /* what rounding makes of mixtures of float32 targets */
    const struct bp_data *data = &samples->data;
    size_t row, column;

    if (net->custom_loss || data->labels ||
        (net->loss != BP_CROSS_ENTROPY && net->loss != BP_BINARY_CROSS_ENTROPY))
        return 0;
    for (size_t n = 0; n < data->y.rows; n += CHECKED_TOGETHER) {
        struct bp_data part = *data;
        part.y = part_of(&data->y, n);
        if (data->mask.data)
            part.mask = part_of(&data->mask, n);
        PyThreadState *state = part.y.rows >= MANY / data->y.columns ? PyEval_SaveThread() : NULL;
        const bool good = bp_targets_between(&part, -slack, 1 + slack, &row, &column);
        if (state)
            PyEval_RestoreThread(state);
        if (!good)
            return name_target(samples, net->loss, name, n + row, column);
        if (PyErr_CheckSignals() < 0)
            return -1;
    }
    return 0;
}

void
bp_release_samples(struct bp_samples *samples)
{
    Py_CLEAR(samples->mask);
    Py_CLEAR(samples->weights);
    Py_CLEAR(samples->x);
    Py_CLEAR(samples->y);
}

int
bp_check_sample_count(const struct bp_data *data, const char *name)
{
    if (data->x.rows <= UINT32_MAX)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zu samples, but at most %lu can be trained on", name,
                 data->x.rows, (unsigned long)UINT32_MAX);
    return -1;
}
