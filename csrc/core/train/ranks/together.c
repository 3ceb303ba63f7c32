#include "together.h"

#include <math.h>
#include <string.h>

#include "common_memory.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "core/passes/whole_gradient.h"
#include "core/train/feed.h"
#include "core/train/figures.h"
#include "core/train/methods/batch.h"
#include "rows.h"
#include "words.h"

/* The gradient over all ranks into run->vectors.gradient, the words behind it: one message for
 * both. */
static void
add_gradients(struct run *run, struct bp_rows rows)
{
    const struct bp_network *net = run->asked->net;
    const struct bp_ranks *ranks = run->asked->ranks;
    const bool narrow = net->kernels->dtype == BP_FLOAT32;
    bp_real *behind = bp_at(net, run->vectors.gradient, net->packed);
    double words[BP_WORDS];

    bp_write_words(run, rows, words);
    for (size_t i = 0; i < BP_WORDS; i++)
        if (narrow)
            ((float *)behind)[i] = (float)words[i];
        else
            ((double *)behind)[i] = words[i];
    if (!ranks->reduce(ranks->context, net->kernels->dtype, net->packed + BP_WORDS,
                       run->vectors.gradient))
        run->verdict.status = BP_FAILED;
    for (size_t i = 0; i < BP_WORDS; i++)
        run->exchange.words[i] = narrow ? (double)((float *)behind)[i] : ((double *)behind)[i];
    bp_apply_words(run);
}

/* Whether delta has the learning rate in it, so that a plain step needs no gradient of its own. */
static bool
is_direct(const struct run *run)
{
    const struct bp_training *t = run->asked;
    return !run->vectors.gradient && !t->ranks->sharded && bp_is_plain(t->net, t->optimizer);
}

/* factors[n] = this rank's weights w_n; where it knows those of the whole batch, over their sum */
static void
weigh_rows(struct worker *worker, struct bp_rows rows, struct bp_rows batch)
{
    const struct run *run = worker->run;
    const struct bp_data *data = &run->feed.data;
    double *factors = worker->pass.ws->factors;

    if (!run->asked->ranks->sharded) {
        const double sign = is_direct(run) ? -bp_rate_of(run, worker->step) : 1;
        bp_share_weight(data, rows, batch, sign, factors);
        return;
    }
    for (size_t n = 0; n < rows.count; n++)
        factors[n] = bp_weight_of(data, rows, n);
}

/* Forward and back with this rank's rows of the batch: Σ_n factor_n ∂C_0/∂w over them into
 * run->vectors.gradient, where there is one. */
static void
compute(struct worker *worker, struct bp_rows rows, struct bp_rows batch)
{
    struct run *run = worker->run;
    struct bp_pass *pass = &worker->pass;

    bp_begin_batch(worker, &run->ws, rows);
    bp_load_batch(pass, &run->feed.data, &rows, true);
    bp_meet(pass->team);
    bp_forward(pass);
    bp_meet(pass->team);
    bp_losses(pass);
    if (pass->me == 0)
        weigh_rows(worker, rows, batch);
    bp_meet(pass->team);
    (void)bp_add_up(worker, pass->ws, rows); /* a loss that is not finite is in verdict.status */
    bp_delta_from_loss(pass);
    bp_meet(pass->team);
    bp_backward(pass, &(struct bp_update){.what = run->vectors.gradient ? BP_STORE : BP_NO_GRADIENT,
                                          .gradient = {run->vectors.gradient, true},
                                          .moving = bp_forgets(run->asked->optimizer)});
}

/* After the gradients, or rows, of all ranks have been added up: the step. */
static void
take_step(struct worker *worker)
{
    struct run *run = worker->run;
    const struct bp_training *t = run->asked;
    const struct bp_pass *pass = &worker->pass;
    struct bp_optimizer optimizer = *t->optimizer;
    /* what is still to be divided by; a batch without weight has no gradient */
    const double together = run->exchange.words[BP_WEIGHT];
    const double weight = t->ranks->sharded && together > 0 ? together : 1;

    optimizer.rate = bp_rate_of(run, worker->step);
    struct bp_optimizer_step rule =
        bp_next_step(&optimizer, run->applied.first_step + worker->step);
    if (!bp_is_shared(t) &&
        (t->settings.norms || t->net->penalized || isfinite(optimizer.clip_norm))) {
        const double norm =
            bp_finish_gradient(pass, (struct bp_vector){run->vectors.gradient, true}, weight);
        worker->sums.norm += norm;
        rule.scale = bp_clip_scale(norm, optimizer.clip_norm);
    }
    rule.scale /= weight;
    if (bp_is_shared(t))
        bp_common_step(worker, is_direct(run), &rule);
    else
        bp_optimize_share(pass, &rule, (struct bp_vector){run->vectors.gradient, true},
                          run->vectors.state);
    bp_count_step(worker);
    bp_meet(pass->team);
    if (bp_is_shared(t)) { /* the parameters are complete once all ranks have done their part */
        if (pass->me == 0)
            bp_ranks_meet(run);
        bp_meet(pass->team);
    }
}

/* A step of all ranks on the sum of their gradients; false when the epoch or training ends here. */
static bool
step_together(struct worker *worker, struct bp_rows batch)
{
    struct run *run = worker->run;
    const struct bp_training *t = run->asked;
    const struct bp_rows rows = bp_rows_of_rank(t->ranks, batch);
    const struct bp_pass *pass = &worker->pass;
    const bool stored = run->vectors.gradient != NULL;

    if (rows.count > 0)
        compute(worker, rows, batch);
    if (!stored)
        bp_clear_common_rows(worker, rows.count);
    bp_meet(pass->team);
    if (pass->me == 0) {
        if (rows.count == 0 && stored)
            memset(run->vectors.gradient, 0, t->net->packed * t->net->kernels->size);
        if (bp_failed(t->net))
            run->verdict.status = BP_FAILED;
        (bp_is_shared(t) ? bp_gather_words : add_gradients)(run, rows);
    }
    bp_meet(pass->team);
    if (run->verdict.stop || run->verdict.status != BP_OK || run->exchange.words[BP_ROWS] == 0)
        return false;
    take_step(worker);
    return true;
}

void
bp_steps_together(struct worker *worker)
{
    const struct bp_training *t = worker->run->asked;
    struct place place = {0};

    for (size_t i = 0; t->stream || i < t->ranks->steps; i++) {
        const struct bp_rows batch = bp_next_batch(worker, &place);
        if (worker->pass.me == 0)
            (void)bp_ready_rates(worker->run, worker->step, 1);
        if (!step_together(worker, batch))
            return;
    }
}
