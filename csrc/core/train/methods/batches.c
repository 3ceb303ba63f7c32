/* batches.c: a step on each batch. */
#include "core/network/optimizer.h"
#include "core/passes/backward.h"
#include "core/passes/forward.h"
#include "core/passes/input_layer.h"
#include "core/passes/lazy.h"
#include "core/passes/whole_gradient.h"
#include "core/train/feed.h"
#include "core/train/methods/batch.h"
#include "core/train/methods/method.h"
#include "core/train/stop.h"
#include "core/train/vectors.h"

static bool
suits(const struct bp_training *t, size_t batch)
{
    (void)t;
    (void)batch;
    return true;
}

static size_t
rows_of(size_t batch)
{
    return batch;
}

/* Whether the way back may be given up. Where it moves weights as it goes, what stays are those of the last epoch:
 * other steps of this one would be lost. */
static bool
may_give_up(const struct run *run)
{
    return run->vectors.gradient || (run->steps == 0 && !run->applied.in_place);
}

/* From all of the gradient, which it measures and may clip; not where that was given up. */
static void
step_by_gradient(struct worker *worker, struct bp_optimizer_step *rule)
{
    const struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    const struct bp_vector gradient = bp_trained_vector(run, run->vectors.gradient);

    bp_backward(pass, &(struct bp_update){.what = BP_STORE,
                                          .gradient = gradient,
                                          .moving = bp_forgets(run->asked->optimizer)});
    bp_meet(pass->team);
    if (bp_gave_up(run))
        return;
    const double norm = bp_finish_gradient(pass, gradient, 1);
    worker->sums.norm += norm;
    rule->scale = bp_clip_scale(norm, run->asked->optimizer->clip_norm);
    if (run->asked->optimizer->lazy && pass->ws->scratch.nonzeros)
        bp_optimize_columns(pass, rule, gradient, run->vectors.state);
    else
        bp_optimize_share(pass, rule, gradient, run->vectors.state);
}

/* All of a step; false where it ends training, or was given up. */
static bool
do_step(struct worker *worker, const struct bp_rows *rows, const struct bp_rows *next)
{
    struct run *run = worker->run;
    struct bp_pass *pass = &worker->pass;
    struct bp_optimizer optimizer = *run->asked->optimizer;
    const bool plain = !run->vectors.gradient && bp_is_plain(pass->net, &optimizer);

    optimizer.rate = bp_rate_of(run, worker->step);
    if (!bp_load_or_stop(worker, &run->ws, *rows))
        return false;
    bp_fetch_in_backward(pass, &run->feed.data, *next);
    bp_forward(pass);
    bp_meet(pass->team);
    if (bp_gave_up(run) || !bp_turn_round(worker, *rows, plain ? -optimizer.rate : 1))
        return false;
    if (pass->me == 0) { /* the others do not ask, but look */
        bp_note_move(run);
        if (!may_give_up(run))
            pass->halt = NULL;
    }
    struct bp_optimizer_step rule =
        bp_next_step(&optimizer, run->applied.first_step + worker->step);
    if (run->vectors.gradient)
        step_by_gradient(worker, &rule);
    else
        bp_backward(pass, &(struct bp_update){
                              .what = plain ? BP_DESCEND : BP_OPTIMIZE,
                              .rule = &rule,
                              .state = run->vectors.state,
                              .moving = bp_forgets(&optimizer),
                              .lazy = optimizer.lazy,
                          });
    bp_meet(pass->team);
    if (bp_gave_up(run))
        return false;
    bp_count_step(worker);
    return true;
}

static bool
step(struct worker *worker, const struct bp_rows *rows, const struct bp_rows *next)
{
    struct run *run = worker->run;

    worker->pass.halt = run->applied.halts ? &run->halt : NULL;
    const bool going = do_step(worker, rows, next);
    worker->pass.halt = NULL;
    if (worker->pass.me == 0 && bp_gave_up(run)) /* the others know, and do not read it */
        run->verdict.stop = true;
    return going;
}

const struct method bp_batches = {
    .name = "batches",
    .suits = suits,
    .rows = rows_of,
    .step = step,
};
