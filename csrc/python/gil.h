/* gil.h: the GIL, which a long call gives up, and takes back for as long as a hook runs Python code.
 * Depends on module.h. */
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

#endif
