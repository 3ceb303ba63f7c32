/* stop.h: whether training goes on. Depends on run.h. */
#ifndef BP_STOP_H
#define BP_STOP_H

#include "run.h"

/* Asks the caller, if a hundredth of a second has passed since it was asked, whether to stop; `run`
 * is a struct run. Thread 0 only. */
bool
bp_poll_if_due(void *run);

/* For run->halt: whether training ends, or the caller asks for it. The verdict does not say so yet, as others may
 * still read what it said before the step. Thread 0 only. */
bool
bp_give_up_if_asked(void *run);

/* Whether a step was given up, for all of a team that has met since it looked whether to. */
static inline bool
bp_gave_up(const struct run *run)
{
    return atomic_load_explicit(&run->halt.halted, memory_order_relaxed);
}

/* The same as bp_poll_if_due(), and looks at the clock only now and then. Thread 0 only. */
static inline bool
bp_asked_to_stop(struct run *run)
{
    if (run->clock.looks_in-- > 0)
        return false;
    run->clock.looks_in = run->clock.look_every;
    return bp_poll_if_due(run);
}

/* Whether training goes on, as thread 0 left it before the last meeting. */
static inline bool
bp_goes_on(const struct run *run)
{
    const struct verdict *verdict = &run->verdict;
    return verdict->status == BP_OK && !verdict->stop && !verdict->enough;
}

/* All of a team: whether training goes on, as thread 0 left it. They meet before they read it, so
 * that it is there, and after, so that nobody changes it before all have read it. */
bool
bp_decided(const struct worker *);

#endif
