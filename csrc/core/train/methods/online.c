/* online.c: plain gradient descent with one sample a step. The step of a sample is put off until
 * the next one comes by: two workspaces of one row take turns, run->ws and the method's own. */
#include "core/base/memory.h"
#include "core/passes/input_layer.h"
#include "core/train/feed.h"
#include "core/train/methods/batch.h"
#include "core/train/methods/method.h"
#include "core/train/methods/single.h"

static bool
suits(const struct bp_training *t, size_t batch)
{
    return bp_is_single(t, batch);
}

static size_t
rows_of(size_t batch)
{
    return batch;
}

/* the workspace of step number `step` */
static struct bp_workspace *
turn_of(struct run *run, size_t step)
{
    return step % 2 == 0 ? &run->ws : run->own;
}

static enum bp_status
open(struct run *run)
{
    run->own = bp_allocate(1, sizeof(struct bp_workspace));
    if (!run->own)
        return BP_NO_MEMORY;
    return bp_workspace_lay_out(run->own, run->asked->net, run->ws.rows, run->applied.threads,
                                run->ws.block.flags);
}

static void
close(struct run *run)
{
    if (run->own)
        bp_workspace_free(run->own);
    bp_free(run->own);
}

static bool
step(struct worker *worker, const struct bp_rows *rows, const struct bp_rows *next)
{
    struct run *run = worker->run;
    struct bp_pass *pass = &worker->pass;
    const double rate = bp_rate_of(run, worker->step);

    if (!bp_load_or_stop(worker, turn_of(run, worker->step), *rows))
        return false;
    bp_fetch_batch(pass, &run->feed.data, *next);
    bp_single_forward(pass, worker->pending);
    bp_meet(pass->team);
    if (!bp_turn_round(worker, *rows, -rate))
        return false;
    bp_single_backward(pass);
    worker->pending = pass->ws;
    bp_meet(pass->team);
    bp_count_step(worker);
    return true;
}

static void
finish(struct worker *worker)
{
    bp_single_finish(&worker->pass, worker->pending);
    worker->pending = NULL;
}

const struct method bp_online = {
    .name = "online",
    .suits = suits,
    .rows = rows_of,
    .open = open,
    .step = step,
    .finish = finish,
    .close = close,
};
