#include "open.h"

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "methods/method.h"
#include "ranks/common_memory.h"
#include "stop.h"
#include "vectors.h"

enum {
    LOOK_SECONDS_INVERSE = 20000,
    VALIDATION_ROWS = 128, /* at a time */
};

/* Of a step on `batch` samples, about. */
static double
seconds_of_step(const struct bp_training *t, size_t batch)
{
    return 6 * (double)t->net->parameters * (double)batch / 2e10;
}

/* Whether a step of a stream may be of any length. */
static bool
has_whole_blocks(const struct bp_training *t)
{
    return t->stream && t->stream->whole;
}

/* what is asked, as it is done */
static struct applied
apply(const struct bp_training *t)
{
    const size_t rows = bp_samples_of(t), asked = t->settings.batch;
    struct applied a = {
        .batch = t->stream ? asked : bp_smaller(asked, rows),
        .first_step = t->optimizer->steps,
    };
    const size_t panels = bp_panels(t->net, t->net->widest);
    const double short_step = 0.02;

    a.method = bp_best_method(t, a.batch);
    a.in_place = a.method == &bp_batches && bp_is_sparse(&t->data.x) && !t->ranks && !t->settings.mixed;
    /* all of the order belongs to one step, and nothing else asks for it sooner */
    a.settles = a.method->settles && !t->stream && !t->data.weights && a.batch >= bp_samples_of(t);
    a.halts = !t->ranks && (has_whole_blocks(t) || seconds_of_step(t, a.batch) > short_step);
    /* no more threads than can have a share */
    a.threads = a.method->one_thread
                    ? 1
                    : bp_smaller(t->settings.threads, panels > a.batch ? panels : a.batch);
    return a;
}

static void
start_clocks(struct run *run)
{
    const struct bp_training *t = run->asked;
    const double step_seconds = seconds_of_step(t, run->applied.batch);
    const double now = bp_seconds_now();

    run->clock.begun = run->clock.polled = run->clock.epoch_begun = now;
    run->stretches.begun = run->stretches.epoch_ended = now;
    if (!has_whole_blocks(t))
        run->clock.look_every =
            (size_t)(1.0 / (double)LOOK_SECONDS_INVERSE / (step_seconds + 1e-7));
}

static enum bp_status
open_workspaces(struct run *run)
{
    const struct bp_training *t = run->asked;
    const struct applied *a = &run->applied;
    const size_t together = a->method->rows(a->batch), samples = bp_samples_of(t);
    const size_t rows = t->stream ? together : bp_smaller(together, samples);
    const size_t room = bp_is_shared(t)   ? bp_common_rows(t, a->batch)
                        : a->method->room ? a->method->room(t, a->batch)
                                          : rows;
    const enum bp_status status =
        bp_workspace_for(&run->ws, t->net, &t->data, room, a->threads,
                         (t->net->dropout ? BP_DROPOUT : 0) | (t->settings.mixed ? BP_ROUNDED : 0));

    run->applied.together = rows;
    run->applied.one_call = a->method->one_thread && !a->method->finish && rows == samples && !t->stream &&
                            !t->ranks && !t->validation && !t->net->dropout;
    if (status != BP_OK || !t->validation)
        return status;
    return bp_workspace_for(&run->held_out, t->net, t->validation,
                            bp_smaller(t->validation->x.rows, VALIDATION_ROWS), a->threads,
                            BP_FORWARD_ONLY);
}

/* Memory of zeros at *place; whether there was enough. */
static bool
take(void **place, size_t count, size_t size)
{
    *place = bp_allocate(count, size);
    return *place != NULL;
}

enum bp_status
bp_run_open(struct run *run, const struct bp_training *t, struct bp_trained *trained)
{
    *run = (struct run){
        .asked = t, .trained = trained, .applied = apply(t), .halt.poll = {bp_give_up_if_asked, run}};
    run->feed.data = t->data;
    run->feed.rates = t->rates;
    start_clocks(run);
    const enum bp_status status = open_workspaces(run);
    if (status != BP_OK)
        return status;
    bool enough = bp_is_shared(t) ? bp_common_open(run) : bp_vectors_open(run);
    if (t->ranks && t->ranks->average_every > 0)
        enough &= take((void **)&run->exchange.steps, t->ranks->count, sizeof(double));
    if (t->net->dropout)
        enough &= take((void **)&run->keys, t->net->count, sizeof(*run->keys));
    if (t->settings.shuffle) {
        run->feed.room = bp_samples_of(t);
        enough &= take((void **)&run->feed.order, run->feed.room, sizeof(*run->feed.order));
    }
    if (!enough)
        return BP_NO_MEMORY;
    return run->applied.method->open ? run->applied.method->open(run) : BP_OK;
}

void
bp_run_close(struct run *run)
{
    if (run->applied.method->close)
        run->applied.method->close(run);
    bp_workspace_free(&run->ws);
    bp_workspace_free(&run->held_out);
    if (!bp_is_shared(run->asked))
        bp_vectors_close(run);
    bp_free(run->exchange.nodes);
    bp_free(run->exchange.steps);
    bp_free(run->keys);
    bp_free(run->feed.order);
}
