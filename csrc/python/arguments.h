/* arguments.h: options travel by name, through one table a function, into one C struct.
 * Depends on module.h. */
#ifndef BP_ARGUMENTS_H
#define BP_ARGUMENTS_H

#include "module.h"

/* What an argument is, and the type of the field that it goes to. */
enum bp_kind {
    BP_ARG_OBJECT,   /* PyObject *, borrowed */
    BP_ARG_OPTIONAL, /* PyObject *, borrowed, or NULL for None */
    BP_ARG_SIZE,     /* size_t */
    BP_ARG_REAL,     /* double */
    BP_ARG_FLAG,     /* bool */
    BP_ARG_TEXT,     /* const char *, borrowed */
    BP_ARG_THREAD,   /* unsigned long: a thread's identifier */
};

/* One argument. The field of one that is not required and not given stays as it is. */
struct bp_argument {
    const char *name;
    enum bp_kind kind;
    size_t offset; /* of the field */
    bool required;
    double least; /* of a size or a real number; NaN is none */
};

/* All arguments of one function, of which the first `by_place` need no name. */
struct bp_signature {
    const char *name; /* as in messages and in _core.arguments: "Network._train()" */
    const struct bp_argument *arguments;
    size_t count, by_place;
};

enum { BP_MOST_ARGUMENTS = 32 };

#define BP_SIGNATURE(name, table, by_place)                                                        \
    {                                                                                              \
        name, table, sizeof(table) / sizeof(*(table)), by_place                                    \
    }

/* Reads what a METH_FASTCALL | METH_KEYWORDS function is given into the struct that the signature's offsets are
 * of. 0, or -1 with a TypeError, ValueError or OverflowError; objects are there all the same, if names are right. */
int bp_read_arguments(const struct bp_signature *, PyObject *const *args, Py_ssize_t given,
                      PyObject *keywords, void *into);

/* Reads a dict likewise. *kept, to be released, is a copy of it, from which `into` borrows: NULL on failure. */
int bp_read_dict(const struct bp_signature *, PyObject *dict, void *into, PyObject **kept);

/* The names of a signature, in order: a new tuple. */
PyObject *bp_argument_names(const struct bp_signature *);

/* A method of PyMethodDef that bp_read_arguments serves. */
#define BP_FAST(function) _PyCFunction_CAST(function), METH_FASTCALL | METH_KEYWORDS

#endif
