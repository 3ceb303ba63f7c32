/* monitor.h: when the training of a member ends because a figure of it does not get better any more, or its loss is low
 * enough: what backprop.EarlyStopping and `target` do for a network.
 *
 * An epoch is better whose figure is better than the best so far by more than `least`; a NaN never is. Training ends
 * with the epoch that is `patience` epochs after the best one, else with one whose loss is no larger than `target`.
 * Depends on member.h. */
#ifndef BP_MONITOR_H
#define BP_MONITOR_H

#include "member.h"

static inline bool
bp_has_monitor(const struct bp_population *p)
{
    return p->monitor.ended != NULL;
}

/* Takes the figures of an epoch, counted in the call, of active member i: whether it is `better`, so that the
 * parameters that it ended with are to be kept, and whether training ends with it; the member is no longer active
 * then. */
bool
bp_ends_by_monitor(const struct bp_population *, size_t i, size_t epoch, bool *better);

#endif
