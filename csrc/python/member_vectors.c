#include "member_vectors.h"

#include "core/base/memory.h"
#include "numbers.h"

void *
bp_memory_of(PyObject *object, const char *name, int type_number, size_t count)
{
    PyArrayObject *array = (PyArrayObject *)object;

    if (PyArray_Check(object) && PyArray_TYPE(array) == type_number && PyArray_ISCARRAY(array) &&
        (size_t)PyArray_SIZE(array) == count)
        return PyArray_DATA(array);
    PyArray_Descr *type = PyArray_DescrFromType(type_number);
    if (type)
        PyErr_Format(PyExc_ValueError, "%s must be a writable, contiguous array of %zu numbers of %S",
                     name, count, type);
    Py_XDECREF(type);
    return NULL;
}

bp_real *
bp_read_parameters(PyObject *object, const struct bp_network *net, size_t *members)
{
    const size_t size = PyArray_Check(object) ? (size_t)PyArray_SIZE((PyArrayObject *)object) : 0;

    *members = size / net->parameters;
    if (*members > 0)
        return bp_memory_of(object, "parameters", bp_type_number(net->kernels->dtype),
                         bp_size_product(*members, net->parameters));
    PyErr_Format(PyExc_ValueError, "parameters must be an array (members, %zu) with at least one member",
                 net->parameters);
    return NULL;
}
