#include "custom.h"

#include "arrays.h"
#include "numbers.h"
#include "core/base/memory.h"

typedef double (*function_of_1)(double);
typedef double (*function_of_2)(double, double);

/* The C functions that this thread is in, of which networks' functions they are; the innermost first. A function made
 * by ctypes or cffi may be Python code, and use networks. */
struct calling {
    const struct bp_customs *customs;
    const struct calling *before;
};

static _Thread_local const struct calling *calling;

/* To be `calling` while a function of the pair is called. */
static struct calling
enter_function(const struct bp_pair *pair)
{
    return (struct calling){pair->owner, calling};
}

bool
bp_is_called_by(const struct bp_customs *customs)
{
    for (const struct calling *c = calling; c; c = c->before)
        if (c->customs == customs)
            return true;
    return false;
}

static double
get(enum bp_dtype dtype, const bp_real *m, size_t at)
{
    return dtype == BP_FLOAT32 ? (double)((const float *)m)[at] : ((const double *)m)[at];
}

static void
set(enum bp_dtype dtype, bp_real *m, size_t at, double value)
{
    if (dtype == BP_FLOAT32)
        ((float *)m)[at] = (float)value;
    else
        ((double *)m)[at] = value;
}

/* the place of row n's column j in panels */
static size_t
place(const struct bp_kernels *kernels, size_t n, size_t j, size_t stride)
{
    return j / kernels->panel * stride + n * kernels->panel + j % kernels->panel;
}

/* what numbers past the last column become: 0 */
static void
clear_pads(const struct bp_kernels *kernels, size_t rows, size_t columns, bp_real *out, size_t stride)
{
    for (size_t j = columns; j % kernels->panel != 0; j++)
        for (size_t n = 0; n < rows; n++)
            set(kernels->dtype, out, place(kernels, n, j, stride), 0);
}

/* Panels as a new (rows, columns) array. */
static PyObject *
array_of_panels(const struct bp_kernels *kernels, size_t rows, size_t columns, const bp_real *panels,
                size_t stride)
{
    const npy_intp shape[] = {(npy_intp)rows, (npy_intp)columns};
    PyObject *array = PyArray_SimpleNew(2, shape, bp_type_number(kernels->dtype));

    for (size_t n = 0, at = 0; array && n < rows; n++)
        for (size_t j = 0; j < columns; j++, at++)
            set(kernels->dtype, PyArray_DATA((PyArrayObject *)array), at,
                get(kernels->dtype, panels, place(kernels, n, j, stride)));
    return array;
}

/* What the callable returned, as a contiguous float64 array of exactly this shape; takes over
 * `result`, which may be NULL. */
static PyArrayObject *
checked(PyObject *result, const char *what, int dimensions, size_t rows, size_t columns)
{
    PyArrayObject *array = result ? (PyArrayObject *)PyArray_FROM_O(result) : NULL;
    Py_XDECREF(result);
    if (!array)
        return NULL;
    const npy_intp *shape = PyArray_DIMS(array);
    if (!PyArray_ISBOOL(array) && !PyArray_ISINTEGER(array) && !PyArray_ISFLOAT(array))
        PyErr_Format(PyExc_TypeError, "%s must return real numbers, not an array of dtype %S", what,
                     (PyObject *)PyArray_DESCR(array));
    else if (PyArray_NDIM(array) != dimensions || (size_t)shape[0] != rows ||
             (dimensions == 2 && (size_t)shape[1] != columns)) {
        PyObject *text = bp_shape_text(array);
        if (text && dimensions == 2)
            PyErr_Format(PyExc_ValueError, "%s must return an array of shape (%zu, %zu), not %U",
                         what, rows, columns, text);
        else if (text)
            PyErr_Format(PyExc_ValueError, "%s must return an array of shape (%zu,), not %U", what,
                         rows, text);
        Py_XDECREF(text);
    }
    else {
        PyArray_Descr *type = PyArray_DescrFromType(NPY_DOUBLE);
        Py_SETREF(array, (PyArrayObject *)PyArray_FromArray(array, type,
                                                            NPY_ARRAY_CARRAY | NPY_ARRAY_FORCECAST));
        return array;
    }
    Py_DECREF(array);
    return NULL;
}

/* Calls a Python function of arrays, of a first one of (rows, columns) and perhaps a second one of
 * (rows, second_columns), and hands what it returns to the other arguments: times factor into panels
 * `out`, or, one number a row, into `losses`. */
static void
call_python(struct bp_customs *owner, PyObject *callable, const char *what,
            const struct bp_kernels *kernels, size_t rows, size_t columns, const bp_real *first,
            const bp_real *second, size_t second_columns, size_t stride, const bp_real *factor,
            bp_real *out, double *losses)
{
    if (atomic_load(&owner->failed))
        return;
    const PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *x = array_of_panels(kernels, rows, columns, first, stride), *y = NULL;
    PyArrayObject *result = NULL;

    if (x && second)
        y = array_of_panels(kernels, rows, second_columns, second, stride);
    if (x && (y || !second) && callable)
        result = checked(PyObject_CallFunctionObjArgs(callable, x, y, NULL), what, losses ? 1 : 2,
                         rows, columns);
    const double *values = result ? PyArray_DATA(result) : NULL;
    for (size_t n = 0, i = 0; values && n < rows; n++) {
        if (losses) {
            losses[n] = values[n];
            continue;
        }
        for (size_t j = 0; j < columns; j++, i++) {
            const size_t at = place(kernels, n, j, stride);
            const double scale = factor ? get(kernels->dtype, factor, at) : 1;
            set(kernels->dtype, out, at, values[i] * scale);
        }
    }
    if (!values) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_RuntimeError, "%s has been garbage collected", what);
        atomic_store(&owner->failed, true);
    }
    Py_XDECREF(x);
    Py_XDECREF(y);
    Py_XDECREF(result);
    PyGILState_Release(gil);
}

static void
apply_1(const struct bp_pair *pair, const struct bp_function *f, const char *what,
        const struct bp_kernels *kernels, size_t rows, size_t columns, const bp_real *z,
        const bp_real *factor, bp_real *out, size_t stride)
{
    if (!f->address)
        call_python(pair->owner, f->callable, what, kernels, rows, columns, z, NULL, 0, stride,
                    factor, out, NULL);
    else {
        const struct calling now = enter_function(pair);
        calling = &now;
        for (size_t n = 0; n < rows; n++)
            for (size_t j = 0; j < columns; j++) {
                const size_t at = place(kernels, n, j, stride);
                const double scale = factor ? get(kernels->dtype, factor, at) : 1;
                set(kernels->dtype, out, at,
                    ((function_of_1)f->address)(get(kernels->dtype, z, at)) * scale);
            }
        calling = now.before;
    }
    clear_pads(kernels, rows, columns, out, stride);
}

static void
apply_g(void *context, const struct bp_kernels *kernels, size_t rows, size_t columns,
        const bp_real *z, bp_real *out, size_t stride)
{
    const struct bp_pair *pair = context;
    apply_1(pair, &pair->function, "an activation's g", kernels, rows, columns, z, NULL, out, stride);
}

static void
apply_g_prime(void *context, const struct bp_kernels *kernels, size_t rows, size_t columns,
              const bp_real *z, const bp_real *factor, bp_real *out, size_t stride)
{
    const struct bp_pair *pair = context;
    apply_1(pair, &pair->derivative, "an activation's g_prime", kernels, rows, columns, z, factor,
            out, stride);
}

static size_t
targets_of(const struct bp_pair *pair, size_t columns)
{
    return pair->loss.targets > 0 ? pair->loss.targets : columns;
}

static void
apply_value(void *context, const struct bp_kernels *kernels, size_t rows, size_t columns,
            const bp_real *a, const bp_real *y, size_t stride, double *losses)
{
    const struct bp_pair *pair = context;
    const struct bp_function *f = &pair->function;

    if (!f->address) {
        call_python(pair->owner, f->callable, "a loss's value", kernels, rows, columns, a, y,
                    targets_of(pair, columns), stride, NULL, NULL, losses);
        return;
    }
    const struct calling now = enter_function(pair);
    calling = &now;
    for (size_t n = 0; n < rows; n++) {
        losses[n] = 0;
        for (size_t j = 0; j < columns; j++) {
            const size_t at = place(kernels, n, j, stride);
            losses[n] += ((function_of_2)f->address)(get(kernels->dtype, a, at),
                                                     get(kernels->dtype, y, at));
        }
    }
    calling = now.before;
}

static void
apply_loss_derivative(void *context, const struct bp_kernels *kernels, size_t rows, size_t columns,
                      const bp_real *a, const bp_real *y, bp_real *out, size_t stride)
{
    const struct bp_pair *pair = context;
    const struct bp_function *f = &pair->derivative;

    if (!f->address)
        call_python(pair->owner, f->callable, "a loss's derivative", kernels, rows, columns, a, y,
                    targets_of(pair, columns), stride, NULL, out, NULL);
    else {
        const struct calling now = enter_function(pair);
        calling = &now;
        for (size_t n = 0; n < rows; n++)
            for (size_t j = 0; j < columns; j++) {
                const size_t at = place(kernels, n, j, stride);
                set(kernels->dtype, out, at,
                    ((function_of_2)f->address)(get(kernels->dtype, a, at),
                                                get(kernels->dtype, y, at)));
            }
        calling = now.before;
    }
    clear_pads(kernels, rows, columns, out, stride);
}

struct bp_customs *
bp_new_customs(size_t layers)
{
    const size_t pairs = bp_size_product(layers, sizeof(struct bp_pair));
    struct bp_customs *customs = PyMem_Calloc(1, bp_size_sum(sizeof(*customs), pairs));
    if (!customs) {
        PyErr_NoMemory();
        return NULL;
    }
    customs->layers = layers;
    return customs;
}

static int
read_callable_or_address(struct bp_customs *owner, PyObject *object, struct bp_function *function)
{
    if (PyLong_Check(object)) {
        function->address = PyLong_AsVoidPtr(object);
        if (!function->address && !PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the address of a function must not be 0");
        return function->address ? 0 : -1;
    }
    if (!PyCallable_Check(object)) {
        PyErr_Format(PyExc_TypeError, "a function must be a callable or an address, not %R", object);
        return -1;
    }
    function->callable = Py_NewRef(object);
    owner->python = true;
    return 0;
}

/* The pair of functions; after them, for a loss, the columns of y, 0 for as many as outputs. */
static int
read_pair(struct bp_customs *owner, PyObject *tuple, struct bp_pair *pair)
{
    PyObject *function, *derivative;
    Py_ssize_t targets = 0;

    pair->owner = owner;
    if (!PyArg_ParseTuple(tuple, "OO|n", &function, &derivative, &targets))
        return -1;
    if (targets < 0) {
        PyErr_SetString(PyExc_ValueError, "the number of targets must not be negative");
        return -1;
    }
    pair->loss.targets = (size_t)targets;
    return read_callable_or_address(owner, function, &pair->function) == 0 &&
                   read_callable_or_address(owner, derivative, &pair->derivative) == 0
               ? 0
               : -1;
}

int
bp_read_activation(struct bp_customs *customs, PyObject *tuple, size_t layer)
{
    struct bp_pair *pair = &customs->activations[layer];
    pair->activation = (struct bp_custom_activation){apply_g, apply_g_prime, pair};
    return read_pair(customs, tuple, pair);
}

int
bp_read_loss(struct bp_customs *customs, PyObject *tuple)
{
    struct bp_pair *pair = &customs->loss;
    pair->loss = (struct bp_custom_loss){apply_value, apply_loss_derivative, pair, 0};
    return read_pair(customs, tuple, pair);
}

int
bp_visit_customs(struct bp_customs *customs, visitproc visit, void *arg)
{
    for (size_t l = 0; customs && l <= customs->layers; l++) {
        struct bp_pair *pair = l < customs->layers ? &customs->activations[l] : &customs->loss;
        Py_VISIT(pair->function.callable);
        Py_VISIT(pair->derivative.callable);
    }
    return 0;
}

void
bp_clear_customs(struct bp_customs *customs)
{
    for (size_t l = 0; customs && l <= customs->layers; l++) {
        struct bp_pair *pair = l < customs->layers ? &customs->activations[l] : &customs->loss;
        Py_CLEAR(pair->function.callable);
        Py_CLEAR(pair->derivative.callable);
    }
}

/* call_address(address, z) or (address, a, y): a C function of one or two doubles on every entry of arrays
 * of one shape; float64 comes back. */
static PyObject *
call_address(PyObject *module, PyObject *args)
{
    PyObject *address_object, *first, *second = NULL;
    (void)module;

    if (!PyArg_ParseTuple(args, "OO!|O!", &address_object, &PyArray_Type, &first, &PyArray_Type,
                          &second))
        return NULL;
    void *address = PyLong_AsVoidPtr(address_object);
    if (!address)
        return PyErr_Occurred() ? NULL
                                : PyErr_Format(PyExc_ValueError, "an address must not be 0");
    PyArrayObject *x = (PyArrayObject *)PyArray_FROM_OTF(first, NPY_DOUBLE, NPY_ARRAY_CARRAY_RO);
    PyArrayObject *y = x && second ? (PyArrayObject *)PyArray_FROM_OTF(second, NPY_DOUBLE,
                                                                        NPY_ARRAY_CARRAY_RO)
                                   : NULL;
    PyArrayObject *out = NULL;
    if (x && (y || !second)) {
        if (y && !PyArray_SAMESHAPE(x, y))
            PyErr_SetString(PyExc_ValueError, "both arrays must have the same shape");
        else
            out = (PyArrayObject *)PyArray_SimpleNew(PyArray_NDIM(x), PyArray_DIMS(x), NPY_DOUBLE);
    }
    if (out) {
        const double *a = PyArray_DATA(x), *b = y ? PyArray_DATA(y) : NULL;
        const npy_intp count = PyArray_SIZE(x);
        double *result = PyArray_DATA(out);
        Py_BEGIN_ALLOW_THREADS
        for (npy_intp i = 0; i < count; i++)
            result[i] = b ? ((function_of_2)address)(a[i], b[i]) : ((function_of_1)address)(a[i]);
        Py_END_ALLOW_THREADS
    }
    Py_XDECREF(x);
    Py_XDECREF(y);
    return (PyObject *)out;
}

/* capsule_address(capsule): what a capsule of any name points to */
static PyObject *
capsule_address(PyObject *module, PyObject *capsule)
{
    (void)module;
    if (!PyCapsule_CheckExact(capsule))
        return PyErr_Format(PyExc_TypeError, "a capsule is needed, not %R", capsule);
    void *address = PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule));
    return address ? PyLong_FromVoidPtr(address) : NULL;
}

PyMethodDef bp_custom_methods[] = {
    {"capsule_address", capsule_address, METH_O, NULL},
    {"call_address", call_address, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
