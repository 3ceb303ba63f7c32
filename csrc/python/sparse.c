#include "sparse.h"

#include "core/data/sparse.h"

/* Raises ValueError for a matrix whose own arrays contradict each other; -1. */
static int
broken(const char *name, const char *what)
{
    PyErr_Format(PyExc_ValueError, "%s is a broken sparse matrix: %s", name, what);
    return -1;
}

/* An attribute that is an array of indices, contiguous, of int32 or int64: a new reference, or NULL with an
 * exception. */
static PyArrayObject *
indices_of(PyObject *matrix, const char *attribute, const char *name, bool *wide)
{
    PyObject *object = PyObject_GetAttrString(matrix, attribute);
    PyArrayObject *array = object ? bp_as_array(object, attribute) : NULL;

    Py_XDECREF(object);
    if (!array)
        return NULL;
    if (PyArray_NDIM(array) != 1 || !PyArray_ISINTEGER(array)) {
        PyErr_Format(PyExc_TypeError, "%s.%s must be a 1-D array of integers, but is %R", name, attribute,
                     (PyObject *)array);
        Py_DECREF(array);
        return NULL;
    }
    const char kind = PyArray_DESCR(array)->kind;
    *wide = PyArray_ITEMSIZE(array) > 4 || (kind == 'u' && PyArray_ITEMSIZE(array) == 4);
    PyArrayObject *plain = (PyArrayObject *)PyArray_FromArray(
        array, PyArray_DescrFromType(*wide ? NPY_INT64 : NPY_INT32), NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
    Py_DECREF(array);
    return plain;
}

/* rows and columns of a matrix, or of one sample (columns,); how many dimensions, or -1 with an exception */
static int
shape_of(PyObject *matrix, const char *name, size_t *rows, size_t *columns)
{
    PyObject *shape = PyObject_GetAttrString(matrix, "shape");
    const Py_ssize_t count = shape && PyTuple_Check(shape) ? PyTuple_GET_SIZE(shape) : -1;
    int dimensions = -1;

    if (count == 1 || count == 2) {
        *rows = count == 2 ? PyLong_AsSize_t(PyTuple_GET_ITEM(shape, 0)) : 1;
        *columns = PyLong_AsSize_t(PyTuple_GET_ITEM(shape, count - 1));
        dimensions = PyErr_Occurred() ? -1 : (int)count;
    }
    else if (shape)
        PyErr_Format(PyExc_ValueError, "%s must be a sparse matrix of two dimensions, but has shape %S", name, shape);
    Py_XDECREF(shape);
    return dimensions;
}

/* The arrays indptr and indices of a CSR, or of a CSC or BSR, whose shape in rows and columns is given, and how they
 * lie in *array; what is wrong with them, or -1 with an exception. *kept: a tuple that holds them. */
static int
read_indices(PyObject *matrix, const char *name, struct bp_array *array, PyObject **kept, size_t *row)
{
    struct bp_csr *csr = &array->csr;
    PyArrayObject *begins = indices_of(matrix, "indptr", name, &csr->wide_begins);
    PyArrayObject *k = begins ? indices_of(matrix, "indices", name, &csr->wide_k) : NULL;
    int fault = -1;

    if (k) {
        csr->begins = PyArray_DATA(begins);
        csr->k = PyArray_DATA(k);
        if ((size_t)PyArray_SIZE(k) < csr->count)
            csr->count = (size_t)PyArray_SIZE(k);
        if ((size_t)PyArray_SIZE(begins) != array->rows + 1)
            (void)broken(name, "indptr must have one number more than there are rows (of a CSC: columns)");
        else {
            Py_BEGIN_ALLOW_THREADS
            fault = (int)bp_check_nonzeros(array, row);
            Py_END_ALLOW_THREADS
        }
    }
    *kept = fault < 0 ? NULL : PyTuple_Pack(2, begins, k);
    Py_XDECREF(begins);
    Py_XDECREF(k);
    return *kept ? fault : -1;
}

/* Raises ValueError for a fault in row or, of a CSC, column `row`; -1. */
static int
name_fault(const char *name, int fault, size_t row)
{
    PyErr_Format(PyExc_ValueError,
                 fault == BP_CSR_BEGINS
                     ? "%s is a broken sparse matrix: indptr must begin with 0, never fall, and end at the number of "
                       "entries at most, but does not at place %zu"
                     : "%s is a broken sparse matrix: in the row that indptr[%zu] begins, an entry of indices is "
                       "negative or past the last column",
                 name, row);
    return -1;
}

/* CSC and BSR, whose indices SciPy follows unseen when it converts them. 0, or -1 with an exception. */
static int
check_compressed(PyObject *matrix, const char *name, const char *format)
{
    struct bp_array lie = {0};
    size_t across[2] = {1, 1}, row;
    PyObject *data = PyObject_GetAttrString(matrix, "data"), *kept = NULL;
    int fault = -1;

    if (data && !PyArray_Check(data))
        (void)broken(name, "its data are no array");
    else if (data && shape_of(matrix, name, &lie.rows, &lie.columns) > 0) {
        lie.csr.count = PyArray_NDIM((PyArrayObject *)data) > 0 ? (size_t)PyArray_DIM((PyArrayObject *)data, 0) : 0;
        if (format[0] == 'c') {
            const size_t rows = lie.rows;
            lie.rows = lie.columns;
            lie.columns = rows;
        }
        else if (PyArray_NDIM((PyArrayObject *)data) == 3)
            for (int axis = 0; axis < 2; axis++) {
                const npy_intp length = PyArray_DIM((PyArrayObject *)data, axis + 1);
                across[axis] = length > 0 ? (size_t)length : 1;
            }
        lie.rows /= across[0];
        lie.columns /= across[1];
        fault = read_indices(matrix, name, &lie, &kept, &row);
        if (fault == BP_CSR_BEGINS || fault == BP_CSR_COLUMN)
            fault = name_fault(name, fault, row);
    }
    Py_XDECREF(kept);
    Py_XDECREF(data);
    return fault < 0 ? -1 : 0;
}

/* Whether all of an array of indices are from 0 to below `limit`; -1 with an exception. */
static int
all_below(PyObject *matrix, const char *attribute, const char *name, size_t limit)
{
    bool wide;
    PyArrayObject *array = indices_of(matrix, attribute, name, &wide);
    int good = array ? 1 : -1;

    for (npy_intp i = 0; good == 1 && i < PyArray_SIZE(array); i++) {
        const int64_t index = wide ? ((const int64_t *)PyArray_DATA(array))[i] : ((const int32_t *)PyArray_DATA(array))[i];
        good = index >= 0 && (uint64_t)index < limit;
    }
    Py_XDECREF(array);
    return good;
}

/* COO, likewise. */
static int
check_coordinates(PyObject *matrix, const char *name)
{
    size_t rows, columns;
    const int dimensions = shape_of(matrix, name, &rows, &columns);
    if (dimensions < 0)
        return -1;
    const int row = dimensions == 2 ? all_below(matrix, "row", name, rows) : 1;
    const int column = row == 1 ? all_below(matrix, "col", name, columns) : row;

    return column == 0 ? broken(name, "a coordinate lies outside its shape") : column < 0 ? -1 : 0;
}

/* The matrix as a CSR: itself, or a new one. A new reference, or NULL with an exception. */
static PyObject *
as_csr(PyObject *matrix, const char *name)
{
    PyObject *format = PyObject_GetAttrString(matrix, "format");
    const char *text = format ? PyUnicode_AsUTF8(format) : NULL;
    PyObject *csr = NULL;

    if (text && strcmp(text, "csr") == 0)
        csr = Py_NewRef(matrix);
    else if (text) {
        int good = 0;
        if (strcmp(text, "csc") == 0 || strcmp(text, "bsr") == 0)
            good = check_compressed(matrix, name, text);
        else if (strcmp(text, "coo") == 0)
            good = check_coordinates(matrix, name);
        csr = good == 0 ? PyObject_CallMethod(matrix, "tocsr", NULL) : NULL;
    }
    Py_XDECREF(format);
    return csr;
}

/* A copy in which duplicates are summed and columns rise; takes over `csr`. SciPy has no arithmetic of float16. */
static PyObject *
in_order(PyObject *csr)
{
    PyObject *data = PyObject_GetAttrString(csr, "data");
    const bool half = data && PyArray_Check(data) && PyArray_TYPE((PyArrayObject *)data) == NPY_HALF;
    PyObject *copy = !data  ? NULL
                     : half ? PyObject_CallMethod(csr, "astype", "s", "float32")
                            : PyObject_CallMethod(csr, "copy", NULL);
    PyObject *done = copy ? PyObject_CallMethod(copy, "sum_duplicates", NULL) : NULL;

    Py_DECREF(csr);
    Py_XDECREF(data);
    if (!done)
        Py_CLEAR(copy);
    Py_XDECREF(done);
    return copy;
}

/* Reads a CSR; what is wrong with the order of its columns, or -1 with an exception. */
static int
read_csr(PyObject *csr, const char *name, struct bp_array *array, PyObject **arrays)
{
    PyObject *object = PyObject_GetAttrString(csr, "data"), *indices = NULL;
    PyArrayObject *data = object ? bp_read_numbers(object, name, array) : NULL;
    size_t row = 0;
    int fault = -1;

    *arrays = NULL;
    Py_XDECREF(object);
    if (!data)
        return -1;
    const size_t count = array->columns;
    if (PyArray_NDIM(data) != 1)
        (void)broken(name, "its data must be a 1-D array");
    else if (shape_of(csr, name, &array->rows, &array->columns) > 0) {
        array->row_stride = 0;
        array->csr.count = count;
        fault = read_indices(csr, name, array, &indices, &row);
        if (fault == BP_CSR_BEGINS || fault == BP_CSR_COLUMN)
            fault = name_fault(name, fault, row);
    }
    if (fault >= 0)
        *arrays = PyTuple_Pack(2, data, indices);
    Py_XDECREF(indices);
    Py_DECREF(data);
    return *arrays ? fault : -1;
}

int
bp_read_sparse(PyObject *object, const char *name, struct bp_array *array, PyObject **matrix,
               PyObject **arrays)
{
    PyObject *csr = as_csr(object, name);
    int fault = csr ? read_csr(csr, name, array, arrays) : -1;

    if (fault == BP_CSR_ORDER) {
        Py_CLEAR(*arrays);
        csr = in_order(csr);
        fault = csr ? read_csr(csr, name, array, arrays) : -1;
        if (fault == BP_CSR_ORDER)
            fault = broken(name, "its columns do not rise once they are sorted");
    }
    if (fault == BP_CSR_GOOD && array->columns > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s has %zu columns, but a sparse one may have at most %lu", name,
                     array->columns, (unsigned long)UINT32_MAX);
        fault = -1;
    }
    *matrix = csr;
    if (fault == BP_CSR_GOOD)
        return 0;
    Py_CLEAR(*matrix);
    if (csr)
        Py_CLEAR(*arrays);
    return -1;
}

/* as_rows(name, object) */
static PyObject *
as_rows(PyObject *module, PyObject *args)
{
    const char *name;
    PyObject *object, *matrix, *arrays = NULL;
    struct bp_array array;

    (void)module;
    if (!PyArg_ParseTuple(args, "sO", &name, &object))
        return NULL;
    if (!bp_is_scipy_sparse(object))
        return (PyObject *)bp_as_array(object, name);
    if (bp_read_sparse(object, name, &array, &matrix, &arrays) < 0)
        return NULL;
    Py_DECREF(arrays);
    return matrix;
}

/* is_sparse(object) */
static PyObject *
is_sparse(PyObject *module, PyObject *object)
{
    (void)module;
    return PyBool_FromLong(bp_is_scipy_sparse(object));
}

PyMethodDef bp_sparse_methods[] = {
    {"as_rows", as_rows, METH_VARARGS, NULL},
    {"is_sparse", is_sparse, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
