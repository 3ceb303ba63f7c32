/* ranks.c: an epoch that several processes train together, each on its own rows of every batch:
 * Σ_n w_n ∂C_0/∂w over all ranks, divided by Σ_n w_n, is the gradient of the whole batch.
 *
 * A rank that cannot go on, or is asked to stop, still comes to the next exchange and says so
 * there, so that all end after the same step and nobody waits for ever. */
#include "run.h"

#include <math.h>
#include <string.h>

#include "functions.h"
#include "whole_gradient.h"

enum { PAGE = 4096, LINE = 64 };

/* What the ranks tell each other, as sums over them; in the order of run.together. */
enum word {
    STOPPED, /* asked to */
    LOST,    /* cannot go on: its numbers are of no use */
    ROWS,
    WEIGHT, /* of the rows */
    WORDS,
};

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

/* This rank's rows of the next batch; none once its samples are used up. */
static struct bp_rows
next_rows(struct worker *worker, struct place *place)
{
    const struct run *run = worker->run;
    const struct bp_ranks *ranks = run->t->ranks;

    if (!place->begun || (!place->ended && place->first == place->rows)) {
        place->ended = !bp_next_block(worker, !place->begun);
        place->begun = true;
        place->first = 0;
        place->rows = run->t->data.x.rows;
    }
    if (place->ended)
        return (struct bp_rows){0};
    const struct bp_rows rows = bp_batch_at(run, place->first);
    place->first += rows.count;
    return ranks->sharded ? rows : bp_rank_share(ranks, rows);
}

/* Adds up doubles over all ranks; where that fails this rank is lost. Thread 0. */
static void
add_doubles(struct run *run, size_t count, double *numbers)
{
    const struct bp_ranks *ranks = run->t->ranks;
    if (!ranks->add(ranks->context, BP_FLOAT64, count, numbers))
        run->status = BP_FAILED;
}

/* What this rank has to tell about its rows. */
static void
say(struct run *run, struct bp_rows rows, double words[WORDS])
{
    words[STOPPED] = run->stop || bp_asked_to_stop(run);
    words[LOST] = run->status != BP_OK;
    words[ROWS] = (double)rows.count;
    words[WEIGHT] = 0;
    for (size_t n = 0; n < rows.count; n++)
        words[WEIGHT] += bp_weight_of(&run->t->data, rows, n);
}

/* Draws the consequences of what all ranks said: thread 0, before a meeting. */
static void
heed(struct run *run)
{
    run->stop = run->together[STOPPED] > 0;
    if (run->together[LOST] > 0 && run->status == BP_OK)
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
    double words[WORDS];

    if (rows.count == 0)
        memset(run->gradient, 0, net->packed * net->kernels->size);
    if (bp_failed(net))
        run->status = BP_FAILED;
    say(run, rows, words);
    for (size_t i = 0; i < WORDS; i++)
        if (narrow)
            ((float *)behind)[i] = (float)words[i];
        else
            ((double *)behind)[i] = words[i];
    if (!ranks->add(ranks->context, net->kernels->dtype, net->packed + WORDS, run->gradient))
        run->status = BP_FAILED;
    for (size_t i = 0; i < WORDS; i++)
        run->together[i] = narrow ? (double)((float *)behind)[i] : ((double *)behind)[i];
    heed(run);
}

/* Common memory: what each rank has to tell, a cache line each; parameters; states; the gradient of each. */

static size_t
after(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

/* the bytes of a packed vector there */
static size_t
shared_vector(const struct bp_network *net)
{
    return after(bp_packed_room(net) * net->kernels->size, PAGE);
}

/* vector i there */
static bp_real *
shared_at(const struct run *run, size_t i)
{
    const struct bp_ranks *ranks = run->t->ranks;
    return (char *)ranks->shared + after(ranks->count * LINE, PAGE) + i * shared_vector(run->t->net);
}

/* what a rank has to tell */
static double *
shared_words(const struct bp_ranks *ranks, size_t rank)
{
    return (double *)((char *)ranks->shared + rank * LINE);
}

static bp_real *
gradient_of(const struct run *run, size_t rank)
{
    return shared_at(run, 1 + bp_state_count(run->t->optimizer) + rank);
}

size_t
bp_room_to_share(const struct bp_network *net, const struct bp_optimizer *optimizer, size_t ranks)
{
    if (net->penalized || isfinite(optimizer->clip_norm))
        return 0;
    return after(ranks * LINE, PAGE) + (1 + bp_state_count(optimizer) + ranks) * shared_vector(net);
}

void
bp_ranks_take_shared(struct run *run)
{
    const struct bp_training *t = run->t;
    const size_t bytes = shared_vector(t->net);

    run->packed = shared_at(run, 0);
    run->gradient = gradient_of(run, t->ranks->me);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        run->packed_state[s] = shared_at(run, 1 + s);
    memset(run->gradient, 0, bytes); /* pads too: nobody else says what this memory holds */
    if (t->ranks->me > 0) /* all have the same numbers, and wait for each other before training */
        return;
    memset(run->packed, 0, bytes);
    bp_pack(t->net, t->parameters, run->packed, 0, 1);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++) {
        memset(run->packed_state[s], 0, bytes);
        bp_pack(t->net, t->optimizer->state[s], run->packed_state[s], 0, 1);
    }
}

static void
meet_ranks(struct run *run)
{
    const struct bp_ranks *ranks = run->t->ranks;
    if (!ranks->meet(ranks->context))
        run->status = BP_FAILED;
}

/* The gradients of all ranks are there when this returns, and what they told. */
static void
gather_gradients(struct run *run, struct bp_rows rows)
{
    const struct bp_network *net = run->t->net;
    const struct bp_ranks *ranks = run->t->ranks;

    if (rows.count == 0)
        memset(run->gradient, 0, net->packed * net->kernels->size);
    if (bp_failed(net))
        run->status = BP_FAILED;
    say(run, rows, shared_words(ranks, ranks->me));
    meet_ranks(run);
    memset(run->together, 0, sizeof(run->together));
    for (size_t rank = 0; rank < ranks->count; rank++)
        for (size_t i = 0; i < WORDS; i++)
            run->together[i] += shared_words(ranks, rank)[i];
    heed(run);
}

/* The optimizer's rule on this thread's share of this rank's share of the parameters; each sum over the ranks is
 * used while it is in the nearest cache. */
static void
optimize_own(const struct worker *worker, const struct bp_optimizer_step *rule)
{
    const struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    const struct bp_network *net = pass->net;
    const struct bp_ranks *ranks = run->t->ranks;
    const size_t panel = net->kernels->panel, most = BP_CHUNK_ROWS * panel;
    bp_real *chunk = bp_at(net, pass->ws->gradient_chunks, pass->me * most);
    size_t first, last;

    bp_share(net->packed / panel, ranks->count * pass->threads,
             ranks->me * pass->threads + pass->me, &first, &last);
    first *= panel;
    last *= panel;
    for (size_t at = first; at < last; at += most) {
        const size_t count = last - at < most ? last - at : most;
        const bp_real *sum = bp_at(net, gradient_of(run, 0), at);

        for (size_t rank = 1; rank < ranks->count; rank++, sum = chunk)
            net->kernels->add(count, sum, bp_at(net, gradient_of(run, rank), at), chunk);
        bp_optimize(net, rule, run->packed, run->packed_state, at, count, sum);
    }
}

/* Σ_n w_n ∂C_0/∂w over this rank's rows, into run->gradient. */
static void
compute_gradient(struct worker *worker, struct bp_rows rows)
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
        for (size_t n = 0; n < rows.count; n++)
            pass->ws->factors[n] = bp_weight_of(&run->t->data, rows, n);
    bp_meet(pass->team);
    (void)bp_add_up(worker, pass->ws, rows); /* where it is not finite, run->status says so */
    bp_output_delta(pass);
    bp_meet(pass->team);
    bp_backward(pass, &(struct bp_update){.what = BP_STORE, .gradient = {run->gradient, true}});
    pass->dropout = NULL;
}

/* A step of all ranks on the sum of their gradients; false when the epoch or training ends here. */
static bool
step_together(struct worker *worker, struct bp_rows rows)
{
    struct run *run = worker->run;
    const struct bp_training *t = run->t;
    struct bp_pass *pass = &worker->pass;
    const bool shared = t->ranks->shared != NULL;
    struct bp_optimizer optimizer = *t->optimizer;

    if (rows.count > 0)
        compute_gradient(worker, rows);
    bp_meet(pass->team);
    if (pass->me == 0)
        (shared ? gather_gradients : add_gradients)(run, rows);
    bp_meet(pass->team);
    if (run->stop || run->status != BP_OK || run->together[ROWS] == 0)
        return false;

    /* a batch without weight has no gradient */
    const double weight = run->together[WEIGHT] > 0 ? run->together[WEIGHT] : 1;
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
        optimize_own(worker, &rule);
    else
        bp_optimize_share(pass, &rule, run->gradient, run->packed_state);
    worker->sums.steps++;
    worker->step++;
    if (pass->me == 0)
        run->steps++;
    bp_meet(pass->team);
    if (shared) { /* the parameters are complete once all ranks have done their part */
        if (pass->me == 0)
            meet_ranks(run);
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
        say(run, (struct bp_rows){0}, run->together);
        run->together[LOST] += bp_failed(pass->net);
        run->together[ROWS] = (double)rows;
        add_doubles(run, WORDS, run->together);
        heed(run);
        if (run->t->stream && run->status == BP_OK) { /* streams may end unevenly */
            run->ahead = most_steps(run, made) - made;
            run->steps += run->ahead;
        }
    }
    bp_meet(pass->team);
    const bool agreed = run->status == BP_OK && run->together[ROWS] > 0;
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
            const struct bp_rows rows = next_rows(worker, &place);
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
        const struct bp_rows rows = next_rows(worker, &place);
        if (worker->pass.me == 0)
            (void)bp_ready_rates(worker->run, worker->step, 1);
        if (!step_together(worker, rows))
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
