#include "epoch.h"

#include <assert.h>
#include <math.h>

#include "core/base/clock.h"
#include "core/network/functions.h"
#include "feed.h"
#include "figures.h"
#include "methods/method.h"
#include "ranks/epoch.h"
#include "ranks/figures.h"
#include "ranks/rows.h"
#include "stop.h"
#include "stretches.h"
#include "vectors.h"

/* All batches of an epoch; false when training ends here. */
static bool
train(struct worker *worker)
{
    if (worker->run->asked->ranks)
        return bp_ranks_epoch(worker);
    for (bool first = true; worker->joins || bp_next_block(worker, first); first = false)
        if (!bp_train_block(worker))
            return false;
    return bp_goes_on(worker->run); /* every step ends with a meeting, and every block of a stream begins with one */
}

/* Loss and accuracy on the validation data, with ranks on this one's share; false when training
 * ends here. */
static bool
validate(const struct worker *worker, struct bp_results *results)
{
    struct run *run = worker->run;
    const struct bp_training *t = run->asked;
    struct bp_data data = *t->validation;
    struct bp_pass pass = worker->pass;

    if (t->ranks) {
        const struct bp_rows own =
            bp_rows_of_rank(t->ranks, (struct bp_rows){NULL, 0, data.x.rows});
        data.x = bp_part_of(&data.x, own.first, own.count);
        data.y = bp_part_of(&data.y, own.first, own.count);
        if (data.mask.data)
            data.mask = bp_part_of(&data.mask, own.first, own.count);
        if (data.weights)
            data.weights += own.first;
    }
    pass.ws = &run->held_out;
    pass.dropout = NULL;
    pass.masked = data.mask.data != NULL;
    pass.mixed = NULL;
    bp_meet(pass.team); /* thread 0 may change its mind in there */
    bp_evaluate(&pass, &data, true, results);
    return t->ranks || !run->verdict.stop; /* with ranks, it is exchanged with the figures */
}

/* Thread 0: the seconds of this epoch and of those before it that were not timed. */
static void
time_epochs(struct run *run, size_t epoch)
{
    enum { MOST = 16 };
    const double shortest = 2e-6, now = bp_seconds_now();
    struct clock *clock = &run->clock;
    const double each = (now - clock->epoch_begun) / (double)clock->untimed;

    for (size_t e = epoch + 1 - clock->untimed; e <= epoch; e++)
        run->asked->record[e * BP_FIGURES + BP_SECONDS] = each;
    clock->epoch_begun = now;
    clock->untimed = 0;
    clock->together = each < shortest && !run->asked->ranks ? MOST : 1; /* ranks end together */
    run->verdict.enough = now - clock->begun > run->asked->settings.budget;
}

/* Thread 0, after the last batch of an epoch: writes the record, and says whether to keep the
 * parameters. */
static void
finish(struct run *run, size_t epoch, struct sums *sums, struct bp_results *validation)
{
    const struct bp_training *t = run->asked;
    struct verdict *verdict = &run->verdict;

    if (++run->clock.untimed >= run->clock.together || epoch + 1 == t->settings.epochs)
        time_epochs(run, epoch);
    if (t->ranks && !bp_reduce_figures(run, sums, validation))
        return;
    const bool failed = bp_failed(t->net);
    if (failed || !isfinite(sums->loss) || verdict->not_finite) {
        verdict->status = failed ? BP_FAILED : BP_DIVERGED;
        run->trained->bad_layer = bp_first_bad_layer(run, &run->ws, 0);
        return;
    }
    assert(bp_all_pads_are_zeros(run));
    bp_write_record(run, epoch, sums, validation);
    run->trained->epochs_done = epoch + 1;
    verdict->keep = true;
}

/* An epoch that is one call of the method: what any other asks on its way takes as long as a step. */
static bool
one_call(struct worker *worker)
{
    struct run *run = worker->run;
    struct verdict *verdict = &run->verdict;

    worker->sums = (struct sums){0};
    if (!bp_next_block(worker, true))
        return false;
    const struct bp_rows rows = bp_batch_at(run, 0);
    if (!run->applied.method->step(worker, &rows, &(struct bp_rows){0}))
        return false;
    if (!bp_finite_share(run, 0, 1))
        verdict->not_finite = true;
    finish(run, worker->epoch, &worker->sums, NULL);
    if (verdict->keep)
        bp_commit_share(run, 0, 1);
    verdict->keep = false;
    return bp_goes_on(run);
}

bool
bp_epoch(struct worker *worker)
{
    if (worker->run->applied.one_call)
        return one_call(worker);
    struct run *run = worker->run;
    const struct bp_training *t = run->asked;
    struct verdict *verdict = &run->verdict;
    const struct bp_pass *pass = &worker->pass;
    struct bp_results validation = {.poll = bp_poll_if_due, .context = run, .stop = &verdict->stop};

    if (!worker->joins)
        worker->sums = (struct sums){0};
    if (pass->me == 0 && run->keys)
        bp_draw_keys(t->net, t->random, run->keys);
    if (!train(worker))
        return false;
    if (t->validation && !validate(worker, &validation))
        return false;
    if (!bp_finite_share(run, pass->me, pass->threads))
        verdict->not_finite = true;
    bp_meet(pass->team);
    if (pass->me == 0)
        finish(run, worker->epoch, &worker->sums, &validation);
    bp_meet(pass->team);
    const bool going = bp_goes_on(run);
    if (verdict->keep)
        bp_commit_share(run, pass->me, pass->threads);
    bp_meet(pass->team); /* all have read it, and nobody works on what others still keep */
    if (pass->me == 0)
        verdict->keep = false;
    return going;
}
