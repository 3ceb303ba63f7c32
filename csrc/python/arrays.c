#include "arrays.h"

PyObject *
bp_shape_text(PyArrayObject *array)
{
    PyObject *shape = PyArray_IntTupleFromIntp(PyArray_NDIM(array), PyArray_DIMS(array));
    if (!shape)
        return NULL;
    PyObject *text = PyObject_Repr(shape);
    Py_DECREF(shape);
    return text;
}

int
bp_wrong_shape(PyArrayObject *array, const char *name, const char *expected, size_t a, size_t b)
{
    PyObject *shape = bp_shape_text(array);
    if (!shape)
        return -1;
    PyObject *wanted = PyUnicode_FromFormat(expected, a, b, a);
    if (wanted)
        PyErr_Format(PyExc_ValueError, "%s must have shape %U, but has shape %U", name, wanted,
                     shape);
    Py_XDECREF(wanted);
    Py_DECREF(shape);
    return -1;
}

/* Says of which argument a ValueError is that NumPy raised for nested lists. */
static void
name_ragged_lists(const char *name)
{
    PyObject *type, *value, *traceback;

    if (!PyErr_ExceptionMatches(PyExc_ValueError))
        return;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_Format(PyExc_ValueError, "%s must be an array or nested lists of one length: %S", name,
                 value ? value : Py_None);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

/* The number type of an array, or BP_NUMBERS for one that the core does not read. */
static enum bp_number
number_type(PyArrayObject *array)
{
    static const enum bp_number whole[] = {BP_INT8, BP_INT16, BP_INT32, BP_INT64};
    static const enum bp_number natural[] = {BP_UINT8, BP_UINT16, BP_UINT32, BP_UINT64};
    const npy_intp size = PyArray_ITEMSIZE(array);
    const int place = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : size == 8 ? 3 : -1;

    if (place < 0)
        return BP_NUMBERS;
    switch (PyArray_DESCR(array)->kind) {
    case 'b':
        return BP_BOOL;
    case 'i':
        return whole[place];
    case 'u':
        return natural[place];
    case 'f':
        return place == 0 ? BP_NUMBERS : place == 1 ? BP_HALF : place == 2 ? BP_FLOAT : BP_DOUBLE;
    default:
        return BP_NUMBERS;
    }
}

PyArrayObject *
bp_read_numbers(PyObject *object, const char *name, struct bp_array *array)
{
    PyArrayObject *numbers;

    if (PyArray_Check(object)) {
        Py_INCREF(object);
        numbers = (PyArrayObject *)object;
    }
    else {
        numbers = (PyArrayObject *)PyArray_FromAny(object, NULL, 0, 0, 0, NULL);
        if (!numbers) {
            name_ragged_lists(name);
            return NULL;
        }
    }
    const enum bp_number type = number_type(numbers);
    if (type == BP_NUMBERS) {
        PyErr_Format(PyExc_TypeError,
                     "%s must be of float16, float32, float64, an integer type or bool, but is of "
                     "dtype %S",
                     name, (PyObject *)PyArray_DESCR(numbers));
        Py_DECREF(numbers);
        return NULL;
    }
    const int dimensions = PyArray_NDIM(numbers);
    const npy_intp *shape = PyArray_DIMS(numbers), *strides = PyArray_STRIDES(numbers);
    *array = (struct bp_array){
        .data = PyArray_BYTES(numbers),
        .rows = dimensions > 1 ? (size_t)shape[0] : 1,
        .columns = dimensions > 0 ? (size_t)shape[dimensions - 1] : 1,
        .row_stride = dimensions > 1 ? strides[0] : 0,
        .column_stride = dimensions > 0 ? strides[dimensions - 1] : 0,
        .type = type,
        .swapped = PyArray_ISBYTESWAPPED(numbers),
    };
    return numbers;
}

double *
bp_doubles(PyObject *object, const char *name, size_t count)
{
    PyArrayObject *array = (PyArrayObject *)object;

    if (!PyArray_Check(object) || PyArray_TYPE(array) != NPY_DOUBLE || !PyArray_ISCARRAY(array) ||
        (size_t)PyArray_SIZE(array) != count) {
        PyErr_Format(PyExc_ValueError, "%s must be a contiguous float64 array of %zu numbers", name,
                     count);
        return NULL;
    }
    return PyArray_DATA(array);
}
