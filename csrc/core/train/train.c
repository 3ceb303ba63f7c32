#include "train.h"

#include "epoch.h"
#include "open.h"
#include "ranks/common_memory.h"
#include "ranks/words.h"
#include "stretches.h"
#include "vectors.h"

/* Every thread: when all have met, parameters and state are packed. */
static void
pack(const struct worker *worker)
{
    struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    const struct bp_ranks *ranks = run->asked->ranks;

    if (!bp_is_shared(run->asked))
        bp_pack_share(run, pass->me, pass->threads);
    else if (pass->me == 0) { /* in common memory, which all ranks have cleared: a share of each */
        bp_ranks_meet(run);
        bp_pack_share(run, ranks->me, ranks->count);
        bp_ranks_meet(run);
    }
    bp_meet(pass->team);
}

/* From where the worker stands, until training ends, or goes on without it. */
static void
work(struct worker *worker)
{
    if (!worker->joins)
        pack(worker);
    for (; worker->epoch < worker->run->asked->settings.epochs; worker->epoch++)
        if (!bp_epoch(worker))
            return;
}

static void
join(struct bp_team *team, size_t me, void *context)
{
    const struct run *run = context;
    struct worker worker = *run->stretches.position;

    (void)team;
    worker.pass.me = me;
    work(&worker);
}

/* The threads to begin with; where the system refuses some and other ranks have begun, one: slower
 * is better than not. */
static enum bp_status
open_team(struct run *run, struct worker *worker)
{
    const struct bp_training *t = run->asked;
    struct stretches *s = &run->stretches;
    const size_t most = run->applied.threads;
    const bool all = t->ranks || t->settings.first_threads > most;
    const size_t first = all ? most : t->settings.first_threads;

    if (most == 1)
        return BP_OK;
    s->team = bp_team_open(most, join, run);
    if (!s->team)
        return t->ranks ? BP_OK : BP_NO_MEMORY;
    if (bp_team_make(s->team, first) < first)
        return t->ranks ? BP_OK : BP_NO_THREAD;
    if (first > 1) {
        bp_team_plan(s->team, first);
        bp_meet(s->team); /* of this thread alone */
        bp_join_team(&worker->pass, s->team, first);
        bp_call_threads(worker, (struct bp_rows){0}, 1);
    }
    return BP_OK;
}

static enum bp_status
train_on_team(struct run *run)
{
    struct worker position, worker = {
        .run = run,
        .pass = {.net = run->asked->net,
                 .ws = &run->ws,
                 .parameters = bp_trained_vector(run, run->vectors.parameters),
                 .threads = 1,
                 .mixed = run->asked->settings.mixed},
    };

    run->stretches.position = &position;
    const enum bp_status status = open_team(run, &worker);
    if (status == BP_OK)
        work(&worker);
    bp_team_close(run->stretches.team);
    run->trained->threads = worker.pass.threads;
    return status;
}

enum bp_status
bp_train(const struct bp_training *t, struct bp_trained *trained)
{
    struct run run;

    *trained = (struct bp_trained){0};
    enum bp_status status = bp_run_open(&run, t, trained);
    if (t->ranks) {
        trained->status_exchanged = true;
        status = bp_exchange_status(t->ranks, status);
    }
    if (status == BP_OK)
        status = train_on_team(&run);
    if (status == BP_OK)
        status = run.verdict.status;
    if (status == BP_OK && run.verdict.stop) {
        status = BP_INTERRUPTED;
        if (run.steps > 0 && bp_finite_share(&run, 0, 1)) /* else the last epoch's stay */
            bp_commit_share(&run, 0, 1);
    }
    bp_hand_over(&run);
    bp_take_back(&run);
    bp_run_close(&run);
    return status;
}
