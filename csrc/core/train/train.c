#include "train.h"

#include "epoch.h"
#include "open.h"
#include "ranks/common_memory.h"
#include "ranks/words.h"
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

static void
train_on_thread(struct bp_team *team, size_t me, void *context)
{
    struct run *run = context;
    const struct bp_training *t = run->asked;
    struct worker worker = {
        .run = run,
        .pass = {.net = t->net,
                 .ws = &run->ws,
                 .parameters = {run->vectors.parameters, true},
                 .team = team,
                 .me = me,
                 .threads = run->applied.threads},
    };

    pack(&worker);
    for (size_t epoch = 0; epoch < t->settings.epochs; epoch++)
        if (!bp_epoch(&worker, epoch))
            return;
}

/* On all threads; where the system refuses some and other ranks have begun, on one: slower is
 * better than not. */
static enum bp_status
train_on_team(struct run *run)
{
    enum bp_status status = bp_team_run(run->applied.threads, train_on_thread, run);

    if (status != BP_OK && run->asked->ranks) {
        run->applied.threads = 1;
        status = bp_team_run(1, train_on_thread, run);
    }
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
        if (bp_finite_share(&run, 0, 1)) /* else the last epoch's stay */
            bp_commit_share(&run, 0, 1);
    }
    bp_run_close(&run);
    return status;
}
