/* member_ends.h: what ends the training of members before its last epoch, from Python. Depends on member_vectors.h. */
#ifndef BP_PYTHON_MEMBER_ENDS_H
#define BP_PYTHON_MEMBER_ENDS_H

#include "core/population/population.h"
#include "module.h"

/* p->patience from a tuple, or NULL for none: tol, most, best (members,) of float64; waited, epochs (members,) of
 * uint64; ended (members,) of bool; kept (members, parameters); objective (epochs, members) of float64. p has its
 * network, members, settings and record. 0, or -1 with an exception. */
int
bp_read_patience(PyObject *, struct bp_population *p);

/* p->monitor from a tuple, or NULL for none: the figure's number; whether it rises; spread (members,) of float64 or None;
 * least; patience; target; epochs before; best (members,) of float64; best_epoch, epochs (members,) of uint64; ended
 * (members,) of uint8; kept (members, parameters) or None. As above. */
int
bp_read_monitor(PyObject *, struct bp_population *p);

#endif
