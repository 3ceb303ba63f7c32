#include "stop.h"

#include "core/base/clock.h"
#include "vectors.h"

enum { POLL_SECONDS_INVERSE = 100 };

bool
bp_poll_if_due(void *context)
{
    struct run *run = context;
    const struct bp_poll *poll = &run->asked->poll;
    const double now = bp_seconds_now();

    if (!poll->ask || now - run->clock.polled < 1.0 / (double)POLL_SECONDS_INVERSE)
        return false;
    run->clock.polled = now;
    bp_hand_over(run);
    return poll->ask(poll->context);
}

bool
bp_give_up_if_asked(void *context)
{
    const struct run *run = context;

    return run->verdict.stop || bp_poll_if_due(context);
}

bool
bp_decided(const struct worker *worker)
{
    bp_meet(worker->pass.team);
    const bool going = bp_goes_on(worker->run);
    bp_meet(worker->pass.team);
    return going;
}
