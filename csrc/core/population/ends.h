/* ends.h: whether the training of a member ends before the last epoch though it has not diverged, by the one rule or
 * the other. Depends on patience.h and monitor.h. */
#ifndef BP_MEMBER_ENDS_H
#define BP_MEMBER_ENDS_H

#include "monitor.h"
#include "patience.h"

static inline bool
bp_may_end(const struct bp_population *p)
{
    return bp_has_patience(p) || bp_has_monitor(p);
}

/* Takes the figures of an epoch, counted in the call, of active member i, where it may end: whether it does.
 * `before`: the parameters that the epoch began with, which patience looks at; `better`: as bp_ends_by_monitor has it. */
static inline bool
bp_ends(const struct bp_population *p, size_t i, size_t epoch, const bp_real *before, bool *better)
{
    *better = false;
    return bp_has_monitor(p) ? bp_ends_by_monitor(p, i, epoch, better) : bp_ends_by_itself(p, i, epoch, before);
}

#endif
