/* solve.h: the loop of the whole-batch solvers. Depends on solving.h. */
#ifndef BP_SOLVE_H
#define BP_SOLVE_H

#include "solving.h"

/* Iterates. C, penalties included, never rises. Parameters and what the solver remembers are those
 * after the last whole iteration, also for BP_INTERRUPTED and BP_FAILED; nothing has changed for
 * BP_NO_MEMORY, BP_TOO_LARGE, BP_NO_THREAD, and BP_DIVERGED: C is not finite at the start. */
enum bp_status
bp_solve(struct bp_solving *);

/* Bytes that Levenberg-Marquardt needs for the normal equations, SIZE_MAX where that does not fit:
 * for so many samples; primal: penalties allow JᵀJ only. */
size_t
bp_levenberg_bytes(const struct bp_network *, size_t samples, bool primal);

#endif
