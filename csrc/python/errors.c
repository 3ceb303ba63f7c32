/* errors.c: the exception for each status of the core. */
#include "module.h"

PyObject *
bp_raise(enum bp_status status)
{
    switch (status) {
    case BP_NO_MEMORY:
        PyErr_SetString(PyExc_MemoryError, "the system has not enough memory for what this network "
                                           "and these samples need");
        return NULL;
    case BP_TOO_LARGE:
        PyErr_SetString(PyExc_ValueError, "the network is too large: its size in bytes must fit "
                                          "into the address space");
        return NULL;
    case BP_NO_THREAD:
        PyErr_SetString(PyExc_RuntimeError, "the system refused to start a thread; use fewer");
        return NULL;
    case BP_INTERRUPTED: /* the signal's handler has raised already */
    case BP_FAILED:      /* or the custom function */
        return NULL;
    case BP_OK:
    case BP_DIVERGED: /* its exception says where: network_train raises it */
    case BP_ELSEWHERE: /* no exception of this rank */
        break;
    }
    PyErr_SetString(PyExc_SystemError, "the core reported an unknown status");
    return NULL;
}
