#include "arguments.h"

#include <assert.h>

/* A number that is below what its argument says. */
static int
too_small(const struct bp_signature *signature, const struct bp_argument *argument, PyObject *value)
{
    PyObject *least = PyFloat_FromDouble(argument->least);
    PyObject *whole = least ? PyNumber_Long(least) : NULL;
    if (whole)
        PyErr_Format(PyExc_ValueError, "%s needs %s to be at least %S, but it is %R",
                     signature->name, argument->name, whole, value);
    Py_XDECREF(least);
    Py_XDECREF(whole);
    return -1;
}

static int
wrong_type(const struct bp_signature *signature, const struct bp_argument *argument,
           const char *expected, PyObject *value)
{
    PyErr_Format(PyExc_TypeError, "%s needs %s to be %s, but it is %R", signature->name,
                 argument->name, expected, value);
    return -1;
}

/* Converts a value that is no object, and writes it to its field. */
static int
convert(const struct bp_signature *signature, const struct bp_argument *argument, PyObject *value,
        void *field)
{
    switch (argument->kind) {
    case BP_ARG_SIZE: {
        const Py_ssize_t size = PyNumber_AsSsize_t(value, PyExc_OverflowError);
        if (size == -1 && PyErr_Occurred())
            return -1;
        if (size < 0 || (double)size < argument->least)
            return too_small(signature, argument, value);
        *(size_t *)field = (size_t)size;
        return 0;
    }
    case BP_ARG_REAL: {
        const double number = PyFloat_AsDouble(value);
        if (number == -1 && PyErr_Occurred())
            return -1;
        if (!(number >= argument->least))
            return too_small(signature, argument, value);
        *(double *)field = number;
        return 0;
    }
    case BP_ARG_FLAG: {
        const int flag = PyObject_IsTrue(value);
        *(bool *)field = flag > 0;
        return flag < 0 ? -1 : 0;
    }
    case BP_ARG_TEXT: {
        const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : NULL;
        if (!text)
            return PyErr_Occurred() ? -1 : wrong_type(signature, argument, "a str", value);
        *(const char **)field = text;
        return 0;
    }
    case BP_ARG_THREAD: {
        if (!PyLong_Check(value))
            return wrong_type(signature, argument, "the identifier of a thread", value);
        const unsigned long thread = PyLong_AsUnsignedLong(value);
        *(unsigned long *)field = thread;
        return thread == (unsigned long)-1 && PyErr_Occurred() ? -1 : 0;
    }
    case BP_ARG_OBJECT:
    case BP_ARG_OPTIONAL:
        break;
    }
    return 0;
}

static bool
is_object(const struct bp_argument *argument)
{
    return argument->kind == BP_ARG_OBJECT || argument->kind == BP_ARG_OPTIONAL;
}

/* Writes the values, of which NULL was not given, to their fields: objects first. */
static int
store(const struct bp_signature *signature, PyObject *const *values, void *into)
{
    const struct bp_argument *arguments = signature->arguments;

    for (size_t i = 0; i < signature->count; i++)
        if (!values[i] && arguments[i].required) {
            PyErr_Format(PyExc_TypeError, "%s needs argument '%s'", signature->name,
                         arguments[i].name);
            return -1;
        }
    for (size_t i = 0; i < signature->count; i++)
        if (values[i] && is_object(&arguments[i])) {
            const bool none = arguments[i].kind == BP_ARG_OPTIONAL && values[i] == Py_None;
            *(PyObject **)((char *)into + arguments[i].offset) = none ? NULL : values[i];
        }
    for (size_t i = 0; i < signature->count; i++)
        if (values[i] && !is_object(&arguments[i]) &&
            convert(signature, &arguments[i], values[i], (char *)into + arguments[i].offset) < 0)
            return -1;
    return 0;
}

/* The quick way of methods that loops call: all that is given is by place, objects, and enough; false otherwise. */
static bool
store_all_objects(const struct bp_signature *signature, PyObject *const *args, Py_ssize_t given,
                  void *into)
{
    const struct bp_argument *arguments = signature->arguments;

    if ((size_t)given > signature->by_place)
        return false;
    for (size_t i = (size_t)given; i < signature->count; i++)
        if (arguments[i].required)
            return false;
    for (size_t i = 0; i < (size_t)given; i++) {
        if (arguments[i].kind != BP_ARG_OBJECT &&
            (arguments[i].kind != BP_ARG_OPTIONAL || args[i] == Py_None))
            return false;
        *(PyObject **)((char *)into + arguments[i].offset) = args[i];
    }
    return true;
}

/* The place of the argument called `name`, which must not have a value yet; -1 with a TypeError. Looks at *next
 * first, and leaves the place after it there: names that come in order are found at once. */
static Py_ssize_t
place_of(const struct bp_signature *signature, PyObject *name, PyObject *const *values, size_t *next)
{
    size_t i = *next, tried = 0;

    if (PyUnicode_Check(name))
        for (; tried < signature->count; tried++, i++) {
            i = i < signature->count ? i : 0;
            if (PyUnicode_CompareWithASCIIString(name, signature->arguments[i].name) == 0)
                break;
        }
    else
        tried = signature->count;
    *next = i + 1;
    if (tried < signature->count && !values[i])
        return (Py_ssize_t)i;
    PyErr_Format(PyExc_TypeError, "%s got %s argument %R", signature->name,
                 tried == signature->count ? "an unexpected" : "more than one", name);
    return -1;
}

int
bp_read_arguments(const struct bp_signature *signature, PyObject *const *args, Py_ssize_t given,
                  PyObject *keywords, void *into)
{
    const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    PyObject *values[BP_MOST_ARGUMENTS];
    size_t next = 0;

    assert(signature->count <= BP_MOST_ARGUMENTS);
    if (named == 0 && store_all_objects(signature, args, given, into))
        return 0;
    if ((size_t)given > signature->by_place) {
        PyErr_Format(PyExc_TypeError, "%s takes %zu arguments by place, but %zd were given",
                     signature->name, signature->by_place, given);
        return -1;
    }
    for (size_t i = 0; i < signature->count; i++)
        values[i] = i < (size_t)given ? args[i] : NULL;
    for (Py_ssize_t k = 0; k < named; k++) {
        const Py_ssize_t place = place_of(signature, PyTuple_GET_ITEM(keywords, k), values, &next);
        if (place < 0)
            return -1;
        values[place] = args[given + k];
    }
    return store(signature, values, into);
}

int
bp_read_dict(const struct bp_signature *signature, PyObject *dict, void *into, PyObject **kept)
{
    PyObject *values[BP_MOST_ARGUMENTS] = {NULL}, *name, *value;
    Py_ssize_t entry = 0;
    size_t next = 0;

    assert(signature->count <= BP_MOST_ARGUMENTS);
    *kept = NULL;
    if (!PyDict_Check(dict)) {
        PyErr_Format(PyExc_TypeError, "%s must be a dict of its arguments, not %R", signature->name,
                     dict);
        return -1;
    }
    PyObject *copy = PyDict_Copy(dict);
    if (!copy)
        return -1;
    while (PyDict_Next(copy, &entry, &name, &value)) {
        const Py_ssize_t place = place_of(signature, name, values, &next);
        if (place < 0)
            goto fail;
        values[place] = value;
    }
    if (store(signature, values, into) < 0)
        goto fail;
    *kept = copy;
    return 0;
fail:
    Py_DECREF(copy);
    return -1;
}

PyObject *
bp_argument_names(const struct bp_signature *signature)
{
    PyObject *tuple = PyTuple_New((Py_ssize_t)signature->count);

    for (size_t i = 0; tuple && i < signature->count; i++) {
        PyObject *name = PyUnicode_FromString(signature->arguments[i].name);
        if (!name) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, name);
    }
    return tuple;
}
