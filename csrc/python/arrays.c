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

/* Refuses a subclass of ndarray of which entries are masked: numpy.ma.MaskedArray. */
static int
refuse_masked(PyObject *object, const char *name)
{
    PyObject *mask = PyObject_GetAttrString(object, "mask");
    if (!mask) {
        PyErr_Clear();
        return 0;
    }
    PyObject *any = PyObject_HasAttrString(mask, "any") ? PyObject_CallMethod(mask, "any", NULL)
                                                        : Py_NewRef(Py_False);
    const int masked = any ? PyObject_IsTrue(any) : -1;
    if (masked > 0)
        PyErr_Format(PyExc_ValueError,
                     "%s is a masked array with masked entries, which would be read as numbers: fill them, as "
                     "%s.filled(0) does; missing targets are left out by target_mask, which is ~y.mask",
                     name, name);
    Py_DECREF(mask);
    Py_XDECREF(any);
    return masked == 0 ? 0 : -1;
}

/* "x[2, 1]", from the place in a C-contiguous array */
static PyObject *
place_text(PyArrayObject *array, const char *name, npy_intp at)
{
    const int dimensions = PyArray_NDIM(array);
    PyObject *place = PyTuple_New(dimensions), *text;

    for (int i = dimensions - 1; place && i >= 0; i--) {
        PyObject *index = PyLong_FromSsize_t(at % PyArray_DIM(array, i));
        if (!index)
            Py_CLEAR(place);
        else
            PyTuple_SET_ITEM(place, i, index);
        at /= PyArray_DIM(array, i);
    }
    if (!place)
        return NULL;
    if (dimensions == 0)
        text = PyUnicode_FromString(name);
    else if (dimensions == 1)
        text = PyUnicode_FromFormat("%s[%S]", name, PyTuple_GET_ITEM(place, 0));
    else if (dimensions == 2)
        text = PyUnicode_FromFormat("%s[%S, %S]", name, PyTuple_GET_ITEM(place, 0),
                                    PyTuple_GET_ITEM(place, 1));
    else
        text = PyUnicode_FromFormat("%s[%S]", name, place);
    Py_DECREF(place);
    return text;
}

static bool
is_whole(PyObject *value)
{
    return PyLong_Check(value) || PyArray_IsScalar(value, Integer) || PyArray_IsScalar(value, Bool);
}

/* Numbers as an object array has them, of columns of several types: int64 where all are whole, else float64.
 * Takes over `objects`. NULL with a TypeError that names the first entry that is none. */
static PyArrayObject *
numbers_of_objects(PyArrayObject *objects, const char *name)
{
    PyArrayObject *from = (PyArrayObject *)PyArray_FROM_OF((PyObject *)objects, NPY_ARRAY_CARRAY_RO);
    Py_DECREF(objects);
    if (!from)
        return NULL;
    PyObject **values = PyArray_DATA(from);
    const npy_intp count = PyArray_SIZE(from);
    bool whole = true;
    for (npy_intp i = 0; i < count; i++) {
        PyObject *value = values[i] ? values[i] : Py_None;
        if (is_whole(value))
            continue;
        whole = false;
        if (PyFloat_Check(value) || PyArray_IsScalar(value, Floating))
            continue;
        PyObject *place = place_text(from, name, i);
        if (place)
            PyErr_Format(PyExc_TypeError,
                         "%s must hold numbers, but %U is %R: fill or leave out missing values, and make numbers "
                         "of all else, as %s.astype('float32') does where it can",
                         name, place, value, name);
        Py_XDECREF(place);
        Py_DECREF(from);
        return NULL;
    }
    PyArray_Descr *type = PyArray_DescrFromType(whole ? NPY_INT64 : NPY_DOUBLE);
    PyArrayObject *numbers =
        (PyArrayObject *)PyArray_FromArray(from, type, NPY_ARRAY_CARRAY | NPY_ARRAY_FORCECAST);
    Py_DECREF(from);
    return numbers;
}

bool
bp_is_scipy_sparse(PyObject *object)
{
    if (PyArray_Check(object) || PyList_Check(object) || PyTuple_Check(object))
        return false;
    PyObject *modules = PyImport_GetModuleDict(); /* borrowed */
    PyObject *scipy = modules ? PyDict_GetItemString(modules, "scipy.sparse") : NULL;
    PyObject *answer = scipy ? PyObject_CallMethod(scipy, "issparse", "O", object) : NULL;
    const bool sparse = answer && PyObject_IsTrue(answer) == 1;

    Py_XDECREF(answer);
    if (!answer)
        PyErr_Clear(); /* scipy.sparse is still being imported: nobody has made one */
    return sparse;
}

int
bp_refuse_sparse(PyObject *object, const char *name)
{
    if (!bp_is_scipy_sparse(object))
        return 0;
    PyErr_Format(PyExc_TypeError,
                 "%s must be an array here, but is a sparse matrix: %s.toarray() makes one of it, or of some of its "
                 "rows",
                 name, name);
    return -1;
}

PyArrayObject *
bp_as_array(PyObject *object, const char *name)
{
    PyArrayObject *array;

    if (PyArray_Check(object)) {
        if (!PyArray_CheckExact(object) && refuse_masked(object, name) < 0)
            return NULL;
        array = (PyArrayObject *)Py_NewRef(object);
    }
    else {
        if (bp_refuse_sparse(object, name) < 0)
            return NULL;
        array = (PyArrayObject *)PyArray_FromAny(object, NULL, 0, 0, 0, NULL);
        if (!array) {
            name_ragged_lists(name);
            return NULL;
        }
    }
    return PyArray_TYPE(array) == NPY_OBJECT ? numbers_of_objects(array, name) : array;
}

/* as_array(name, object) */
static PyObject *
as_array(PyObject *module, PyObject *args)
{
    const char *name;
    PyObject *object;

    (void)module;
    return PyArg_ParseTuple(args, "sO", &name, &object) ? (PyObject *)bp_as_array(object, name)
                                                        : NULL;
}

PyMethodDef bp_array_methods[] = {
    {"as_array", as_array, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyArrayObject *
bp_read_numbers(PyObject *object, const char *name, struct bp_array *array)
{
    PyArrayObject *numbers = bp_as_array(object, name);

    if (!numbers)
        return NULL;
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
