#include "epoch.h"

#include "averaging.h"
#include "core/train/stop.h"
#include "together.h"

bool
bp_ranks_epoch(struct worker *worker)
{
    if (worker->run->asked->ranks->average_every > 0)
        bp_steps_alone(worker);
    else
        bp_steps_together(worker);
    return bp_decided(worker);
}
