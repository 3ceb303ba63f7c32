/* Training goes in stretches of some batches, each done by as many threads as pay (pace.h); the
 * others sleep. Before a stretch thread 0 plans it, and all that worked so far meet twice:
 *
 *   1. Before the first meeting thread 0 writes the plan; between the two all read it. So nobody
 *      reads it while it is written.
 *   2. From the second meeting on the team has its new size. A thread that is no longer of it
 *      returns from the loop of epochs, and sleeps.
 *   3. Then thread 0 wakes those that are new, who begin where it stands: they copy its worker,
 *      which stays as it is until the next plan. Every step has a meeting, at which the others
 *      wait for them; so they have copied it long before.
 *
 * Where a step ends training it ends for all of the team, and those that sleep know nothing. */
#include "stretches.h"

#include "core/base/clock.h"
#include "core/base/crowding.h"
#include "core/base/sizes.h"
#include "feed.h"
#include "methods/method.h"

/* The steps that are left, or 0 where nobody knows */
static double
steps_left(const struct worker *worker)
{
    const struct bp_training *t = worker->run->asked;
    const size_t batch = worker->run->applied.batch;

    if (t->stream)
        return 0;
    return (double)(t->settings.epochs * bp_quotient_up(t->data.x.rows, batch)) -
           (double)worker->step;
}

/* Thread 0 */
static void
plan(struct worker *worker)
{
    struct stretches *s = &worker->run->stretches;
    const double now = bp_seconds_now(), waited = bp_waited(s->team);
    const double others = worker->pass.threads > 1 ? (double)(worker->pass.threads - 1) : 1;

    if (s->batches == 0)
        bp_pace_begin(&s->pace, worker->run->applied.threads, worker->pass.threads);
    else
        bp_pace_next(&s->pace,
                     (struct bp_pace_window){.seconds = now - s->begun,
                                             .waited = (waited - s->waited) / others,
                                             .crowded = bp_is_crowded()},
                     steps_left(worker));
    const size_t made = bp_team_make(s->team, s->pace.threads);
    if (made < s->pace.threads) /* the system refuses more */
        bp_pace_begin(&s->pace, made, made);
    s->begun = now;
    s->waited = waited;
    s->batches = s->pace.steps;
    s->threads = s->pace.threads;
}

/* Goes on to the next stretch, which begins with `rows`; false where it is without this thread. */
static bool
go_on(struct worker *worker, struct bp_rows rows)
{
    struct stretches *s = &worker->run->stretches;
    struct bp_pass *pass = &worker->pass;

    if (pass->me == 0)
        plan(worker);
    bp_meet(pass->team);
    const size_t before = pass->threads, after = s->threads;
    worker->left = s->batches;
    if (before != after) {
        if (pass->me == 0)
            bp_team_plan(s->team, after);
        bp_meet(s->team);
        bp_join_team(pass, s->team, after);
    }
    else
        bp_meet(pass->team);
    if (pass->me == 0 && after > before)
        bp_call_threads(worker, rows, before);
    return pass->me < after;
}

void
bp_join_team(struct bp_pass *pass, struct bp_team *team, size_t threads)
{
    pass->threads = threads;
    pass->team = threads > 1 ? team : NULL;
}

void
bp_call_threads(struct worker *worker, struct bp_rows rows, size_t first)
{
    struct stretches *s = &worker->run->stretches;

    worker->rows = rows;
    worker->joins = rows.count > 0;
    *s->position = *worker;
    worker->joins = false;
    bp_team_call(s->team, first, worker->pass.threads);
}

/* Thread 0: what happens between blocks is no part of a stretch. */
static void
resume_clock(struct stretches *s)
{
    s->begun += bp_seconds_now() - s->epoch_ended;
    s->waited += bp_waited(s->team) - s->waited_then;
}

static void
pause_clock(struct stretches *s)
{
    s->epoch_ended = bp_seconds_now();
    s->waited_then = bp_waited(s->team);
}

bool
bp_train_block(struct worker *worker)
{
    struct run *run = worker->run;
    const struct method *method = run->applied.method;
    const struct bp_pass *pass = &worker->pass;
    struct bp_rows turn[2] = {worker->joins ? worker->rows : bp_batch_at(run, 0)}; /* this batch, and the next */
    bool going = true;

    worker->joins = false;
    const bool timed = pass->me == 0 && run->stretches.team; /* a clock is a part of the smallest epochs */
    if (timed)
        resume_clock(&run->stretches);
    for (size_t i = 0; turn[i].count > 0 && going; i = 1 - i) {
        const struct bp_rows *rows = &turn[i];
        turn[1 - i] = bp_batch_at(run, rows->first + rows->count);
        if (run->stretches.team && worker->left == 0 && !go_on(worker, *rows))
            return false;
        worker->left--;
        going = method->step(worker, rows, &turn[1 - i]);
    }
    if (method->finish) { /* it writes what others may still read */
        bp_meet(pass->team);
        method->finish(worker);
        bp_meet(pass->team);
    }
    if (timed)
        pause_clock(&run->stretches);
    return going;
}
