#include "batch.h"

#include "core/network/functions.h"
#include "core/passes/backward.h"
#include "core/passes/input_layer.h"
#include "core/passes/losses.h"
#include "core/train/feed.h"
#include "core/train/figures.h"
#include "core/train/stop.h"

void
bp_begin_batch(struct worker *worker, struct bp_workspace *ws, struct bp_rows rows)
{
    const struct run *run = worker->run;
    struct bp_pass *pass = &worker->pass;

    pass->rows = rows.count;
    pass->sums = pass->mixed ? (struct bp_grouping){0} : bp_grouping_of(pass->net, rows.count);
    pass->ws = ws;
    pass->masked = run->feed.data.mask.data != NULL;
    pass->ahead_rows = 0;
    worker->dropout = (struct bp_dropout){run->keys, run->feed.place + rows.first};
    pass->dropout = run->keys ? &worker->dropout : NULL;
}

bool
bp_load_or_stop(struct worker *worker, struct bp_workspace *ws, struct bp_rows rows)
{
    struct run *run = worker->run;
    struct verdict *verdict = &run->verdict;
    struct bp_pass *pass = &worker->pass;

    bp_begin_batch(worker, ws, rows);
    bp_load_batch(pass, &run->feed.data, &rows, true);
    if (pass->me == 0) {
        if (bp_failed(pass->net))
            verdict->status = BP_FAILED;
        verdict->stop = verdict->status == BP_FAILED || bp_asked_to_stop(run);
    }
    bp_meet(pass->team);
    return !verdict->stop;
}

bool
bp_turn_round(struct worker *worker, struct bp_rows rows, double sign)
{
    struct bp_pass *pass = &worker->pass;

    bp_losses(pass);
    if (pass->me == 0)
        bp_share_weight(&worker->run->feed.data, rows, rows, sign, pass->ws->factors);
    bp_meet(pass->team);
    if (!bp_add_up(worker, pass->ws, rows))
        return false;
    bp_delta_from_loss(pass);
    bp_meet(pass->team);
    return true;
}
