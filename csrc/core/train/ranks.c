/* ranks.c: an epoch that several processes train together, each on its own rows of every batch:
 * Σ_n w_n ∂C_0/∂w over all ranks, divided by Σ_n w_n, is the gradient of the whole batch.
 *
 * A rank that cannot go on, or is asked to stop, still comes to the next exchange and says so
 * there, so that all end after the same step and nobody waits for ever. */
#include "ranks.h"

#include <math.h>
#include <string.h>

#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "core/passes/whole_gradient.h"

/* Where the rows of an epoch have come to; the same for all threads of a rank. */
struct place {
    size_t first, rows; /* the row of this block that comes next, of so many */
    bool begun, ended;
};

struct bp_rows
bp_rank_share(const struct bp_ranks *ranks, struct bp_rows rows)
{
    size_t first, last;
    bp_share(rows.count, ranks->count, ranks->me, &first, &last);
    return (struct bp_rows){rows.order, rows.first + first, last - first};
}

/* The next batch, or this rank's shard of it; no rows once its samples are used up. */
static struct bp_rows
next_batch(struct worker *worker, struct place *place)
{
    const struct run *run = worker->run;

    if (!place->begun || (!place->ended && place->first == place->rows)) {
        place->ended = !bp_next_block(worker, !place->begun);
        place->begun = true;
        place->first = 0;
        place->rows = run->t->data.x.rows;
    }
    if (place->ended)
        return (struct bp_rows){0};
    const struct bp_rows batch = bp_batch_at(run, place->first);
    place->first += batch.count;
    return batch;
}

static struct bp_rows
own_rows(const struct bp_ranks *ranks, struct bp_rows batch)
{
    return ranks->sharded ? batch : bp_rank_share(ranks, batch);
}

/* Adds up doubles over all ranks; where that fails this rank is lost. Thread 0. */
static void
add_doubles(struct run *run, size_t count, double *numbers)
{
    const struct bp_ranks *ranks = run->t->ranks;
    if (!ranks->add(ranks->context, BP_FLOAT64, count, numbers))
        run->status = BP_FAILED;
}

void
bp_ranks_say(struct run *run, struct bp_rows rows, double words[BP_WORDS])
{
    words[BP_STOPPED] = run->stop || bp_asked_to_stop(run);
    words[BP_LOST] = run->status != BP_OK;
    words[BP_ROWS] = (double)rows.count;
    words[BP_WEIGHT] = 0;
    for (size_t n = 0; n < rows.count; n++)
        words[BP_WEIGHT] += bp_weight_of(&run->t->data, rows, n);
}

void
bp_ranks_heed(struct run *run)
{
    run->stop = run->together[BP_STOPPED] > 0;
    if (run->together[BP_LOST] > 0 && run->status == BP_OK)
        run->status = BP_ELSEWHERE;
}

/* The gradient over all ranks into run->gradient, the words behind it: one message for both. */
static void
add_gradients(struct run *run, struct bp_rows rows)
{
    const struct bp_network *net = run->t->net;
    const struct bp_ranks *ranks = run->t->ranks;
    const bool narrow = net->kernels->dtype == BP_FLOAT32;
    bp_real *behind = bp_at(net, run->gradient, net->packed);
    double words[BP_WORDS];

    bp_ranks_say(run, rows, words);
    for (size_t i = 0; i < BP_WORDS; i++)
        if (narrow)
            ((float *)behind)[i] = (float)words[i];
        else
            ((double *)behind)[i] = words[i];
    if (!ranks->add(ranks->context, net->kernels->dtype, net->packed + BP_WORDS, run->gradient))
        run->status = BP_FAILED;
    for (size_t i = 0; i < BP_WORDS; i++)
        run->together[i] = narrow ? (double)((float *)behind)[i] : ((double *)behind)[i];
    bp_ranks_heed(run);
}

/* Whether delta has the learning rate in it, so that a plain step needs no gradient of its own. */
static bool
is_direct(const struct run *run)
{
    const struct bp_training *t = run->t;
    return !run->gradient && !t->ranks->sharded && bp_is_plain(t->net, t->optimizer);
}

/* factors[n] = this rank's weights w_n; where it knows those of the whole batch, over their sum */
static void
set_factors(struct worker *worker, struct bp_rows rows, struct bp_rows batch)
{
    const struct run *run = worker->run;
    const struct bp_data *data = &run->t->data;
    double *factors = worker->pass.ws->factors;

    if (!run->t->ranks->sharded) {
        const double sign = is_direct(run) ? -bp_rate_of(run, worker->step) : 1;
        bp_share_weight(data, rows, batch, sign, factors);
        return;
    }
    for (size_t n = 0; n < rows.count; n++)
        factors[n] = bp_weight_of(data, rows, n);
}

/* Forward and back with this rank's rows of the batch: Σ_n factor_n ∂C_0/∂w over them into
 * run->gradient, where there is one. */
static void
compute(struct worker *worker, struct bp_rows rows, struct bp_rows batch)
{
    struct run *run = worker->run;
    struct bp_pass *pass = &worker->pass;
    struct bp_dropout dropout;

    bp_begin_batch(worker, rows, &dropout);
    bp_load_batch(pass, &run->t->data, rows, true);
    bp_meet(pass->team);
    bp_forward(pass);
    bp_meet(pass->team);
    bp_losses(pass);
    if (pass->me == 0)
        set_factors(worker, rows, batch);
    bp_meet(pass->team);
    (void)bp_add_up(worker, pass->ws, rows); /* where it is not finite, run->status says so */
    bp_delta_from_loss(pass);
    bp_meet(pass->team);
    bp_backward(pass, &(struct bp_update){.what = run->gradient ? BP_STORE : BP_NO_GRADIENT,
                                          .gradient = {run->gradient, true}});
    pass->dropout = NULL;
}

/* A step of all ranks on the sum of their gradients; false when the epoch or training ends here. */
static bool
step_together(struct worker *worker, struct bp_rows batch)
{
    struct run *run = worker->run;
    const struct bp_training *t = run->t;
    const struct bp_rows rows = own_rows(t->ranks, batch);
    struct bp_pass *pass = &worker->pass;
    const bool shared = t->ranks->shared != NULL;
    struct bp_optimizer optimizer = *t->optimizer;

    if (rows.count > 0)
        compute(worker, rows, batch);
    if (!run->gradient)
        bp_clear_shared_rows(worker, rows.count);
    bp_meet(pass->team);
    if (pass->me == 0) {
        if (rows.count == 0 && run->gradient)
            memset(run->gradient, 0, t->net->packed * t->net->kernels->size);
        if (bp_failed(t->net))
            run->status = BP_FAILED;
        (shared ? bp_shared_gather : add_gradients)(run, rows);
    }
    bp_meet(pass->team);
    if (run->stop || run->status != BP_OK || run->together[BP_ROWS] == 0)
        return false;

    /* what is still to be divided by; a batch without weight has no gradient */
    const double together = run->together[BP_WEIGHT];
    const double weight = t->ranks->sharded && together > 0 ? together : 1;
    optimizer.rate = bp_rate_of(run, worker->step);
    struct bp_optimizer_step rule = bp_next_step(&optimizer, run->first_step + worker->step);
    if (!shared && (t->norms || t->net->penalized || isfinite(optimizer.clip_norm))) {
        const double norm =
            bp_finish_gradient(pass, (struct bp_vector){run->gradient, true}, weight);
        worker->sums.norm += norm;
        rule.scale = bp_clip_scale(norm, optimizer.clip_norm);
    }
    rule.scale /= weight;
    if (shared)
        bp_shared_step(worker, is_direct(run), &rule);
    else
        bp_optimize_share(pass, &rule, run->gradient, run->packed_state);
    worker->sums.steps++;
    worker->step++;
    if (pass->me == 0)
        run->steps++;
    bp_meet(pass->team);
    if (shared) { /* the parameters are complete once all ranks have done their part */
        if (pass->me == 0)
            bp_shared_meet(run);
        bp_meet(pass->team);
    }
    return true;
}

/* packed = the mean over all ranks of theirs. Every thread. */
static void
average(struct worker *worker, bp_real *packed)
{
    struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    const struct bp_ranks *ranks = run->t->ranks;
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel;
    const double share = 1 / (double)ranks->count;
    size_t first, last;

    if (pass->me == 0 &&
        !ranks->add(ranks->context, net->kernels->dtype, net->packed, packed))
        run->status = BP_FAILED;
    bp_meet(pass->team);
    bp_share(net->packed / panel, pass->threads, pass->me, &first, &last);
    net->kernels->scale_rows(1, last - first, &share, bp_at(net, packed, first * panel), panel);
    bp_meet(pass->team);
}

/* The most steps that a rank made since the last exchange, `made` being this one's. Thread 0. */
static size_t
most_steps(struct run *run, size_t made)
{
    const struct bp_ranks *ranks = run->t->ranks;
    double *of_ranks = run->steps_of_ranks;
    size_t most = made;

    memset(of_ranks, 0, ranks->count * sizeof(*of_ranks));
    of_ranks[ranks->me] = (double)made;
    add_doubles(run, ranks->count, of_ranks);
    for (size_t i = 0; i < ranks->count; i++)
        if ((size_t)of_ranks[i] > most)
            most = (size_t)of_ranks[i];
    return most;
}

/* All ranks become the same, after `made` steps of this one on `rows` rows since the last time;
 * false when the epoch or training ends here. */
static bool
agree(struct worker *worker, size_t made, size_t rows)
{
    struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;

    if (pass->me == 0) {
        bp_ranks_say(run, (struct bp_rows){0}, run->together);
        run->together[BP_LOST] += bp_failed(pass->net);
        run->together[BP_ROWS] = (double)rows;
        add_doubles(run, BP_WORDS, run->together);
        bp_ranks_heed(run);
        if (run->t->stream && run->status == BP_OK) { /* streams may end unevenly */
            run->ahead = most_steps(run, made) - made;
            run->steps += run->ahead;
        }
    }
    bp_meet(pass->team);
    const bool agreed = run->status == BP_OK && run->together[BP_ROWS] > 0;
    bp_meet(pass->team); /* before it changes */
    if (!agreed)
        return false;
    worker->step += run->ahead;
    average(worker, run->packed);
    for (size_t s = 0; s < bp_state_count(run->t->optimizer); s++)
        average(worker, run->packed_state[s]);
    const bool going = run->status == BP_OK && !run->stop;
    bp_meet(pass->team); /* before they change */
    return going;
}

/* Steps of each rank alone, then an average, and so on. */
static void
steps_alone(struct worker *worker)
{
    const struct run *run = worker->run;
    const struct bp_training *t = run->t;
    struct place place = {0};
    bool going = true;

    for (size_t done = 0; t->stream || done < t->ranks->steps;) {
        size_t made = 0, rows_since = 0;
        for (; made < t->ranks->average_every; made++) {
            const struct bp_rows rows = own_rows(t->ranks, next_batch(worker, &place));
            const size_t step = worker->step;
            if (t->stream ? place.ended : done + made == t->ranks->steps)
                break;
            if (worker->pass.me == 0)
                (void)bp_ready_rates(worker->run, step, 1);
            bp_meet(worker->pass.team);
            going &= run->status == BP_OK;
            bp_meet(worker->pass.team); /* before run->status changes */
            if (rows.count > 0 && going) {
                going = bp_train_batch(worker, rows, (struct bp_rows){0});
                if (!going) /* some may still be adding up this block, which the next replaces */
                    bp_meet(worker->pass.team);
            }
            else if (worker->pass.me == 0)
                worker->run->steps++;
            worker->step = step + 1;
            rows_since += rows.count;
        }
        done += made;
        if (!agree(worker, made, rows_since))
            return;
    }
}

/* Every step by all. */
static void
steps_together(struct worker *worker)
{
    const struct bp_training *t = worker->run->t;
    struct place place = {0};

    for (size_t i = 0; t->stream || i < t->ranks->steps; i++) {
        const struct bp_rows batch = next_batch(worker, &place);
        if (worker->pass.me == 0)
            (void)bp_ready_rates(worker->run, worker->step, 1);
        if (!step_together(worker, batch))
            return;
    }
}

bool
bp_ranks_epoch(struct worker *worker)
{
    const struct run *run = worker->run;

    if (run->t->ranks->average_every > 0)
        steps_alone(worker);
    else
        steps_together(worker);
    const bool going = run->status == BP_OK && !run->stop;
    bp_meet(worker->pass.team); /* before run->status changes */
    return going;
}

bool
bp_ranks_add_figures(struct run *run, struct sums *sums, struct bp_results *validation,
                     double *held_out)
{
    const struct bp_ranks *ranks = run->t->ranks;
    double figures[] = {
        sums->loss,
        sums->weight,
        (double)sums->right,
        (double)sums->samples,
        sums->norm / (double)ranks->count,
        validation->total,
        (double)validation->right,
        ranks->sharded || ranks->me == 0 ? *held_out : 0,
        run->enough,
        run->stop,
        bp_failed(run->t->net),
    };

    add_doubles(run, sizeof(figures) / sizeof(*figures), figures);
    if (run->status != BP_OK)
        return false;
    sums->loss = figures[0];
    sums->weight = figures[1];
    sums->right = (size_t)figures[2];
    sums->samples = (size_t)figures[3];
    sums->norm = figures[4];
    validation->total = figures[5];
    validation->right = (size_t)figures[6];
    *held_out = figures[7];
    run->enough = figures[8] > 0;
    run->stop = figures[9] > 0;
    if (figures[10] > 0)
        run->status = bp_failed(run->t->net) ? BP_FAILED : BP_ELSEWHERE;
    return run->status == BP_OK && !run->stop;
}

enum bp_status
bp_ranks_ready(struct bp_ranks *ranks, enum bp_status status)
{
    double lost = status != BP_OK;

    ranks->told = true;
    if (!ranks->add(ranks->context, BP_FLOAT64, 1, &lost))
        return BP_FAILED;
    return status == BP_OK && lost > 0 ? BP_ELSEWHERE : status;
}
