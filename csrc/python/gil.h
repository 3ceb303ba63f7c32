/* gil.h: the GIL, which a long call gives up, and takes back for as long as a hook runs Python code
 * or a signal's handler. Depends on module.h. */
#ifndef BP_GIL_H
#define BP_GIL_H

#include "module.h"

struct bp_gil {
    PyThreadState *saved; /* while it is given up */
};

static inline void
bp_give_up_gil(struct bp_gil *gil)
{
    gil->saved = PyEval_SaveThread();
}

static inline void
bp_take_gil(struct bp_gil *gil)
{
    PyEval_RestoreThread(gil->saved);
}

/* For bp_poll, its context being the bp_gil of a call that has given it up: lets Python's signal
 * handlers run; true when one of them raised. */
static inline bool
bp_poll_signals(void *gil)
{
    bp_take_gil(gil);
    const bool raised = PyErr_Occurred() || PyErr_CheckSignals() < 0;
    bp_give_up_gil(gil);
    return raised;
}

#endif
