#define _POSIX_C_SOURCE 200112L /* clock_gettime */
#include "train.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "chain.h"
#include "functions.h"
#include "memory.h"
#include "online.h"
#include "whole_gradient.h"

/* How the steps are done; the bits are the same. */
enum way {
    BATCHES, /* passes.h: any batch, any optimizer and any network */
    ONLINE,  /* online.h: a sample a step, plain descent */
    CHAIN,   /* chain.h: the same for the smallest networks */
};

/* what all threads of a training share */
struct run {
    struct bp_training *t;
    enum way way;
    struct bp_workspace ws[2];        /* the second for ONLINE */
    struct bp_workspace held_out;     /* for validation */
    struct bp_chain chain;
    void *chain_memory;
    bp_real *packed;       /* the parameters while they are trained */
    bp_real *packed_state[BP_STATES]; /* the optimizer's, or NULL */
    bp_real *gradient;     /* packed, where a step needs all of it at once, or NULL */
    uint64_t *keys;        /* of this epoch's dropout, or NULL */
    uint64_t first_step;   /* steps that the optimizer had done before this call */
    uint32_t *order;       /* of the samples in this epoch, or NULL */
    double begun;          /* seconds, of this call */
    double polled;         /* when poll was last called */
    size_t look_every;     /* steps between two looks at the clock */
    size_t looks_in;       /* steps until the next one */
    size_t steps;          /* since the last commit */
    /* written by thread 0 before a meeting, read by all after it */
    bool stop;
    bool enough;
    enum bp_status status;
};

/* sums over the samples of an epoch; each thread has the same ones */
struct sums {
    double loss, weight, norm;
    size_t right, steps;
};

/* one thread of a training */
struct worker {
    struct run *run;
    struct bp_pass pass;
    size_t step;
    struct sums sums;
    const struct bp_workspace *pending; /* of the sample whose step is put off, ONLINE only */
};

enum {
    POLL_SECONDS_INVERSE = 100,
    LOOK_SECONDS_INVERSE = 20000,
    VALIDATION_ROWS = 128, /* at a time */
    CHAIN_ROWS = 64,
};

static double
seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 0 ... below - 1, each equally likely: Lemire, "Fast random integer generation in an interval" */
static uint32_t
random_below(const struct bp_random *random, uint32_t below)
{
    uint64_t product = (uint64_t)random->next(random->state) * below;
    if ((uint32_t)product < below) {
        const uint32_t excess = -below % below;
        while ((uint32_t)product < excess)
            product = (uint64_t)random->next(random->state) * below;
    }
    return (uint32_t)(product >> 32);
}

/* A fresh order, whatever the last one was, by Fisher and Yates. */
static void
shuffle(const struct bp_random *random, size_t count, uint32_t *order)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = count - 1; i > 0; i--) {
        const uint32_t j = random_below(random, (uint32_t)(i + 1)), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static double
weight_of(const struct bp_data *data, struct bp_rows rows, size_t n)
{
    const size_t at = rows.first + n;
    return data->weights ? data->weights[rows.order ? rows.order[at] : at] : 1;
}

/* factors[n] = sign times the share of row n in the mean over its batch */
static void
set_factors(const struct bp_data *data, struct bp_workspace *ws, struct bp_rows rows, double sign)
{
    double sum = 0;

    for (size_t n = 0; n < rows.count; n++) {
        ws->factors[n] = weight_of(data, rows, n);
        sum += ws->factors[n];
    }
    for (size_t n = 0; n < rows.count; n++) /* a batch without weight does not move anything */
        ws->factors[n] = sum == 0 ? 0 : sign * ws->factors[n] / sum;
}

/* The first layer in which a weight or an output of this batch is not finite. */
static size_t
first_bad_layer(const struct run *run, const struct bp_workspace *ws, size_t rows)
{
    const struct bp_network *net = run->t->net;
    const size_t bad = bp_first_not_finite(net, (struct bp_vector){run->packed, true});

    for (size_t l = 0; l < bad; l++)
        for (size_t q = 0; q < bp_panels(net, net->layers[l].outputs); q++)
            if (!net->kernels->all_finite(rows * net->kernels->panel,
                                          bp_at(net, ws->nodes[l].a, q * ws->step)))
                return l;
    return bad < net->count ? bad : net->count - 1;
}

/* Makes the parameters and the state of now the ones that stay, if all of them are finite. */
static bool
commit(struct run *run)
{
    struct bp_training *t = run->t;
    const size_t bad = bp_first_not_finite(t->net, (struct bp_vector){run->packed, true});

    if (bad < t->net->count) {
        t->bad_layer = bad;
        return false;
    }
    bp_unpack(t->net, run->packed, t->parameters);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        bp_unpack(t->net, run->packed_state[s], t->optimizer->state[s]);
    t->optimizer->steps += run->steps;
    run->steps = 0;
    return true;
}

/* Looks at the clock now and then; whether to stop. Thread 0 only. */
static bool
asked_to_stop(struct run *run)
{
    const struct bp_training *t = run->t;

    if (run->looks_in-- > 0)
        return false;
    run->looks_in = run->look_every;
    const double now = seconds_now();
    if (!t->poll || now - run->polled < 1.0 / POLL_SECONDS_INVERSE)
        return false;
    run->polled = now;
    return t->poll(t->poll_context);
}

/* Adds up what the batch in ws left; false where its loss is not finite, which ends training. */
static bool
add_up(struct worker *worker, const struct bp_workspace *ws, struct bp_rows rows)
{
    struct run *run = worker->run;
    struct sums *sums = &worker->sums;
    double loss = 0;

    for (size_t n = 0; n < rows.count; n++) {
        const double weight = weight_of(&run->t->data, rows, n);
        loss += weight * ws->losses[n];
        sums->weight += weight;
        sums->right += ws->classes[n] == ws->wanted[n];
    }
    sums->loss += loss;
    if (isfinite(loss))
        return true;
    if (worker->pass.me == 0) {
        run->t->bad_layer = first_bad_layer(run, ws, rows.count);
        run->status = BP_DIVERGED;
    }
    return false;
}

/* One batch, forward, backward and update; false when training ends here. */
static bool
train_batch(struct worker *worker, struct bp_rows rows, struct bp_rows next)
{
    struct run *run = worker->run;
    struct bp_training *t = run->t;
    struct bp_pass *pass = &worker->pass;
    struct bp_optimizer optimizer = *t->optimizer;
    const bool plain = !run->gradient && bp_is_plain(t->net, &optimizer);
    const struct bp_dropout dropout = {run->keys, rows.first};

    if (t->rates)
        optimizer.rate = t->rates[worker->step];
    pass->rows = rows.count;
    pass->ws = &run->ws[run->way == ONLINE ? worker->step % 2 : 0];
    pass->masked = t->data.mask.data != NULL;
    pass->dropout = run->keys ? &dropout : NULL;
    bp_load_batch(pass, &t->data, rows, true);
    if (pass->me == 0) {
        if (bp_failed(t->net))
            run->status = BP_FAILED;
        run->stop = run->status == BP_FAILED || asked_to_stop(run);
    }
    bp_meet(pass->team);
    if (run->stop)
        return false;
    bp_fetch_batch(pass, &t->data, next);
    if (run->way == ONLINE)
        bp_online_forward(pass, worker->pending);
    else
        bp_forward(pass);
    bp_meet(pass->team);
    bp_losses(pass);
    if (pass->me == 0)
        set_factors(&t->data, pass->ws, rows, plain ? -optimizer.rate : 1);
    bp_meet(pass->team);
    if (!add_up(worker, pass->ws, rows))
        return false;

    struct bp_optimizer_step rule = bp_next_step(&optimizer, run->first_step + worker->step);
    bp_output_delta(pass);
    bp_meet(pass->team);
    if (run->gradient) {
        const struct bp_vector gradient = {run->gradient, true};
        bp_backward(pass, &(struct bp_update){.what = BP_STORE, .gradient = gradient});
        bp_meet(pass->team);
        const double norm = bp_finish_gradient(pass, gradient);
        worker->sums.norm += norm;
        rule.scale = bp_clip_scale(norm, optimizer.clip_norm);
        bp_optimize_share(pass, &rule, run->gradient, run->packed_state);
    }
    else if (run->way == ONLINE) {
        bp_online_backward(pass);
        worker->pending = pass->ws;
    }
    else
        bp_backward(pass, &(struct bp_update){
                              .what = plain ? BP_DESCEND : BP_OPTIMIZE,
                              .keep = 1,
                              .rule = &rule,
                              .state = run->packed_state,
                          });
    bp_meet(pass->team);
    worker->sums.steps++;
    worker->step++;
    if (pass->me == 0)
        run->steps++;
    return true;
}

/* Steps of a chain, one for each of `rows`; false when training ends here. */
static bool
train_chain(struct worker *worker, struct bp_rows rows)
{
    struct run *run = worker->run;
    const struct bp_training *t = run->t;
    struct bp_pass *pass = &worker->pass;
    double *factors = pass->ws->factors;

    run->stop = asked_to_stop(run);
    if (run->stop)
        return false;
    pass->rows = rows.count;
    bp_load_batch(pass, &t->data, rows, true);
    for (size_t n = 0; n < rows.count; n++) {
        const double rate = t->rates ? t->rates[worker->step + n] : t->optimizer->rate;
        factors[n] = weight_of(&t->data, rows, n) == 0 ? 0 : -rate;
    }
    t->net->kernels->chain_steps(&run->chain, rows.count, factors);
    bp_losses(pass);
    worker->step += rows.count;
    run->steps += rows.count;
    return add_up(worker, pass->ws, rows);
}

/* Thread 0, after the last batch of an epoch: writes the record, keeps the parameters. */
static void
finish_epoch(struct run *run, size_t epoch, const struct sums *sums,
             const struct bp_results *validation, double begun)
{
    struct bp_training *t = run->t;
    double *record = t->record + epoch * BP_FIGURES;
    const double now = seconds_now(), samples = (double)t->data.x.rows;

    const bool failed = bp_failed(t->net);
    if (failed || !commit(run)) {
        run->status = failed ? BP_FAILED : BP_DIVERGED;
        return;
    }
    record[BP_LOSS] = sums->loss / sums->weight;
    record[BP_ACCURACY] = (double)sums->right / samples;
    record[BP_VALIDATION_LOSS] = NAN;
    record[BP_VALIDATION_ACCURACY] = NAN;
    if (t->validation) {
        const double count = (double)t->validation->x.rows;
        record[BP_VALIDATION_LOSS] = validation->total / count;
        record[BP_VALIDATION_ACCURACY] = (double)validation->right / count;
    }
    record[BP_SECONDS] = now - begun;
    record[BP_GRADIENT_NORM] = t->norms ? sums->norm / (double)sums->steps : NAN;
    t->epochs_done = epoch + 1;
    run->enough = now - run->begun > t->budget;
}

/* the rows of this epoch that are loaded together, from sample number `first`: none at the end */
static struct bp_rows
batch_at(const struct run *run, size_t first)
{
    const size_t left = run->t->data.x.rows - first;
    return (struct bp_rows){run->order, first, left < run->ws->rows ? left : run->ws->rows};
}

/* All batches of an epoch; false when training ends here. */
static bool
train_epoch(struct worker *worker)
{
    struct run *run = worker->run;
    bool going = true;

    for (struct bp_rows rows = batch_at(run, 0); going && rows.count > 0;) {
        const struct bp_rows next = batch_at(run, rows.first + rows.count);
        going = run->way == CHAIN ? train_chain(worker, rows) : train_batch(worker, rows, next);
        rows = next;
    }
    bp_online_finish(&worker->pass, worker->pending);
    worker->pending = NULL;
    bp_meet(worker->pass.team);
    return going;
}

static void
train_on_thread(struct bp_team *team, size_t me, void *context)
{
    struct run *run = context;
    struct bp_training *t = run->t;
    struct worker worker = {
        .run = run,
        .pass = {.net = t->net,
                 .ws = run->ws,
                 .parameters = {run->packed, true},
                 .team = team,
                 .me = me,
                 .threads = t->threads},
    };

    for (size_t epoch = 0; epoch < t->epochs; epoch++) {
        const double begun = me == 0 ? seconds_now() : 0;
        struct bp_results validation = {0};

        worker.sums = (struct sums){0};
        if (me == 0 && run->keys)
            bp_draw_keys(t->net, t->random, run->keys);
        if (me == 0 && run->order)
            shuffle(t->random, t->data.x.rows, run->order);
        bp_meet(team);
        if (!train_epoch(&worker))
            return;
        if (t->validation) {
            struct bp_pass pass = worker.pass;
            pass.ws = &run->held_out;
            pass.dropout = NULL;
            pass.masked = false;
            bp_evaluate(pass, t->validation, true, &validation);
        }
        if (me == 0)
            finish_epoch(run, epoch, &worker.sums, &validation, begun);
        bp_meet(team);
        if (run->status != BP_OK || run->enough)
            return;
    }
}

static void
free_run(struct run *run)
{
    bp_workspace_free(&run->ws[0]);
    bp_workspace_free(&run->ws[1]);
    bp_workspace_free(&run->held_out);
    bp_free(run->chain_memory);
    bp_free(run->packed);
    for (size_t s = 0; s < BP_STATES; s++)
        bp_free(run->packed_state[s]);
    bp_free(run->gradient);
    bp_free(run->keys);
    bp_free(run->order);
}

/* Memory of zeros at *place, which is NULL without; whether there was enough. */
static bool
take(void **place, size_t size)
{
    *place = bp_allocate(size);
    return *place != NULL;
}

/* A packed copy of `numbers` at *packed; whether there was enough memory. */
static bool
take_packed(const struct bp_network *net, const bp_real *numbers, bp_real **packed)
{
    if (!take(packed, bp_packed_room(net) * net->kernels->size))
        return false;
    bp_pack(net, numbers, *packed);
    return true;
}

static enum way
best_way(const struct bp_training *t)
{
    const struct bp_network *net = t->net;
    const struct bp_optimizer *o = t->optimizer;
    if (t->batch > 1 || !bp_is_plain(net, o) || net->dropout || t->norms ||
        t->data.mask.data)
        return BATCHES;
    return bp_is_chain(net) ? CHAIN : ONLINE;
}

static enum bp_status
init_run(struct run *run, struct bp_training *t)
{
    const struct bp_network *net = t->net;
    const double step_seconds =
        6 * (double)net->parameters * (double)t->batch / 2e10; /* about, and rather too short */
    enum bp_status status = BP_OK;

    *run = (struct run){.t = t, .way = best_way(t), .status = BP_OK};
    run->begun = run->polled = seconds_now();
    run->look_every = (size_t)(1.0 / LOOK_SECONDS_INVERSE / (step_seconds + 1e-7));
    if (run->way == CHAIN)
        t->threads = 1; /* there is nothing to share in a step of nanoseconds */

    for (int i = 0; status == BP_OK && i < (run->way == ONLINE ? 2 : 1); i++)
        status = bp_workspace_lay_out(&run->ws[i], net, run->way == CHAIN ? CHAIN_ROWS : t->batch,
                                      t->threads, t->data.mask.data ? BP_MASK : 0);
    if (status == BP_OK && t->validation) {
        const size_t rows = t->validation->x.rows;
        status = bp_workspace_lay_out(&run->held_out, net,
                                      rows < VALIDATION_ROWS ? rows : VALIDATION_ROWS, t->threads,
                                      BP_FORWARD_ONLY);
    }
    if (status != BP_OK)
        return status;
    run->first_step = t->optimizer->steps;
    bool enough = take_packed(net, t->parameters, &run->packed);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        enough &= take_packed(net, t->optimizer->state[s], &run->packed_state[s]);
    if (t->norms || isfinite(t->optimizer->clip_norm))
        enough &= take(&run->gradient, bp_packed_room(net) * net->kernels->size);
    if (net->dropout)
        enough &= take((void **)&run->keys, net->count * sizeof(*run->keys));
    if (t->shuffle)
        enough &= take((void **)&run->order, t->data.x.rows * sizeof(*run->order));
    if (!enough)
        return BP_NO_MEMORY;
    if (run->way == CHAIN)
        return bp_make_chain(net, &run->ws[0], run->packed, &run->chain, &run->chain_memory);
    return BP_OK;
}

enum bp_status
bp_train(struct bp_training *t)
{
    struct run run;

    t->epochs_done = 0;
    if (t->batch > t->data.x.rows)
        t->batch = t->data.x.rows;
    enum bp_status status = init_run(&run, t);
    if (status == BP_OK)
        status = bp_team_run(t->threads, train_on_thread, &run);
    if (status == BP_OK) {
        status = run.status;
        if (run.stop && status == BP_OK) {
            status = BP_INTERRUPTED;
            (void)commit(&run); /* where they are not finite, the last epoch's stay */
        }
    }
    free_run(&run);
    return status;
}
