/* patience.h: when the training of a member ends by itself.
 *
 *   objective = C + Σ_l ½ l2 Σ w²     C: the mean loss of an epoch
 *
 * It tells how good the parameters were that the epoch began with. A member ends after more than `most` epochs in
 * a row in which the objective was not lower by tol than the lowest before.
 * Depends on member.h. */
#ifndef BP_PATIENCE_H
#define BP_PATIENCE_H

#include "member.h"

static inline bool
bp_has_patience(const struct bp_population *p)
{
    return p->patience.tol != NULL;
}

/* Takes the loss of an epoch, counted in the call, of active member i, which began it with parameters `before`, in
 * storage order. Whether its training ends with it; it is no longer active then. */
bool
bp_ends_by_itself(const struct bp_population *, size_t i, size_t epoch, const bp_real *before);

#endif
