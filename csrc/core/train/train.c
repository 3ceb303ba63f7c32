#include "run.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "online.h"
#include "core/passes/whole_gradient.h"

enum {
    POLL_SECONDS_INVERSE = 100,
    LOOK_SECONDS_INVERSE = 20000,
    VALIDATION_ROWS = 128, /* at a time */
    CHAIN_ROWS = 64,
};

/* The first layer in which a weight or an output of this batch is not finite. */
static size_t
first_bad_layer(const struct run *run, const struct bp_workspace *ws, size_t rows)
{
    const struct bp_network *net = run->t->net;
    const size_t bad = bp_first_not_finite(net, (struct bp_vector){run->packed, true});

    for (size_t l = 0; l < bad; l++)
        for (size_t q = 0; q < bp_panels(net, net->layers[l].outputs); q++)
            if (!net->kernels->all_finite(rows * net->kernels->panel,
                                          bp_at(net, ws->nodes[l].a, q * ws->stride)))
                return l;
    return bad < net->count ? bad : net->count - 1;
}

/* Whether all vectors lie in memory of several ranks. */
static bool
is_shared(const struct bp_training *t)
{
    return t->ranks && t->ranks->shared;
}

void
bp_pack_share(const struct run *run, size_t me, size_t threads)
{
    const struct bp_training *t = run->t;

    bp_pack(t->net, t->parameters, run->packed, me, threads);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        bp_pack(t->net, t->optimizer->state[s], run->packed_state[s], me, threads);
}

/* Each thread: the parameters and the state of now become the ones that stay. */
static void
commit_share(struct run *run, size_t me, size_t threads)
{
    const struct bp_training *t = run->t;

    bp_unpack(t->net, run->packed, t->parameters, me, threads);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        bp_unpack(t->net, run->packed_state[s], t->optimizer->state[s], me, threads);
    if (me == 0) {
        t->optimizer->steps += run->steps;
        run->steps = 0;
    }
}

/* Each thread: whether its share of the parameters is finite, pads included. */
static bool
finite_share(const struct run *run, size_t me, size_t threads)
{
    const struct bp_network *net = run->t->net;
    const size_t panel = net->kernels->panel;
    size_t first, last;

    bp_share(net->packed / panel, threads, me, &first, &last);
    return net->kernels->all_finite((last - first) * panel,
                                    bp_at(net, run->packed, first * panel));
}

/* Asks the caller, if it is time to, whether to stop. Thread 0 only. */
static bool
poll_if_due(void *context)
{
    struct run *run = context;
    const struct bp_training *t = run->t;
    const double now = bp_seconds_now();

    if (!t->poll || now - run->polled < 1.0 / (double)POLL_SECONDS_INVERSE)
        return false;
    run->polled = now;
    return t->poll(t->poll_context);
}

bool
bp_asked_to_stop(struct run *run)
{
    if (run->looks_in-- > 0)
        return false;
    run->looks_in = run->look_every;
    return poll_if_due(run);
}

bool
bp_add_up(struct worker *worker, const struct bp_workspace *ws, struct bp_rows rows)
{
    struct run *run = worker->run;
    struct sums *sums = &worker->sums;
    double loss = 0;

    for (size_t n = 0; n < rows.count; n++) {
        const double weight = bp_weight_of(&run->t->data, rows, n);
        loss += weight * ws->losses[n];
        sums->weight += weight;
        sums->right += ws->classes[n] == ws->wanted[n];
    }
    sums->samples += rows.count;
    sums->loss += loss;
    if (isfinite(loss))
        return true;
    if (worker->pass.me == 0) {
        run->t->bad_layer = first_bad_layer(run, ws, rows.count);
        run->status = BP_DIVERGED;
    }
    return false;
}

void
bp_begin_batch(struct worker *worker, struct bp_rows rows, struct bp_dropout *dropout)
{
    const struct run *run = worker->run;
    struct bp_pass *pass = &worker->pass;

    pass->rows = rows.count;
    pass->ws = (struct bp_workspace *)&run->ws[run->way == ONLINE ? worker->step % 2 : 0];
    pass->masked = run->t->data.mask.data != NULL;
    pass->ahead_rows = 0;
    *dropout = (struct bp_dropout){run->keys, run->place + rows.first};
    pass->dropout = run->keys ? dropout : NULL;
}

bool
bp_train_batch(struct worker *worker, struct bp_rows rows, struct bp_rows next)
{
    struct run *run = worker->run;
    struct bp_training *t = run->t;
    struct bp_pass *pass = &worker->pass;
    struct bp_optimizer optimizer = *t->optimizer;
    const bool plain = !run->gradient && bp_is_plain(t->net, &optimizer);
    struct bp_dropout dropout;

    optimizer.rate = bp_rate_of(run, worker->step);
    bp_begin_batch(worker, rows, &dropout);
    bp_load_batch(pass, &t->data, rows, true);
    if (pass->me == 0) {
        if (bp_failed(t->net))
            run->status = BP_FAILED;
        run->stop = run->status == BP_FAILED || bp_asked_to_stop(run);
    }
    bp_meet(pass->team);
    if (run->stop)
        return false;
    if (run->way == BATCHES)
        bp_fetch_in_backward(pass, &t->data, next);
    else
        bp_fetch_batch(pass, &t->data, next);
    if (run->way == ONLINE)
        bp_online_forward(pass, worker->pending);
    else
        bp_forward(pass);
    bp_meet(pass->team);
    bp_losses(pass);
    if (pass->me == 0)
        bp_share_weight(&t->data, rows, rows, plain ? -optimizer.rate : 1, pass->ws->factors);
    bp_meet(pass->team);
    if (!bp_add_up(worker, pass->ws, rows))
        return false;

    struct bp_optimizer_step rule = bp_next_step(&optimizer, run->first_step + worker->step);
    bp_delta_from_loss(pass);
    bp_meet(pass->team);
    if (run->gradient) {
        const struct bp_vector gradient = {run->gradient, true};
        bp_backward(pass, &(struct bp_update){.what = BP_STORE, .gradient = gradient});
        bp_meet(pass->team);
        const double norm = bp_finish_gradient(pass, gradient, 1);
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

/* Goes back to before the first of `rows` whose loss is not finite, as if its step, and those of
 * the rows after it, had not been done. */
static void
undo_bad_steps(struct worker *worker, struct bp_rows rows)
{
    struct run *run = worker->run;
    const struct bp_network *net = run->t->net;
    struct bp_pass *pass = &worker->pass;
    size_t good = 0;

    while (good < rows.count && isfinite(pass->ws->losses[good]))
        good++;
    if (good == rows.count)
        return;
    memcpy(run->packed, run->chain_before, net->packed * net->kernels->size);
    bp_turn_chain(net, &run->chain);
    net->kernels->chain_steps(&run->chain, good, pass->ws->factors);
    pass->rows = good + 1;
    bp_forward(pass);
}

/* Steps of a chain, one for each of `rows`; false when training ends here. */
static bool
train_chain(struct worker *worker, struct bp_rows rows)
{
    struct run *run = worker->run;
    const struct bp_training *t = run->t;
    struct bp_pass *pass = &worker->pass;
    double *factors = pass->ws->factors;

    run->stop = bp_asked_to_stop(run);
    if (run->stop)
        return false;
    pass->rows = rows.count;
    bp_load_batch(pass, &t->data, rows, true);
    for (size_t n = 0; n < rows.count; n++) {
        const double rate = bp_rate_of(run, worker->step + n);
        factors[n] = bp_weight_of(&t->data, rows, n) == 0 ? 0 : -rate;
    }
    memcpy(run->chain_before, run->packed, t->net->packed * t->net->kernels->size);
    t->net->kernels->chain_steps(&run->chain, rows.count, factors);
    bp_losses(pass);
    undo_bad_steps(worker, rows);
    worker->step += rows.count;
    run->steps += rows.count;
    return bp_add_up(worker, pass->ws, rows);
}

#ifndef NDEBUG
static bool
pads_are_zeros(const struct run *run)
{
    bool zeros = bp_pads_are_zeros(run->t->net, run->packed);

    for (size_t s = 0; s < bp_state_count(run->t->optimizer); s++)
        zeros &= bp_pads_are_zeros(run->t->net, run->packed_state[s]);
    return zeros;
}
#endif

/* Thread 0, after the last batch of an epoch: writes the record, and says whether to keep the
 * parameters. */
static void
finish_epoch(struct run *run, size_t epoch, struct sums *sums, struct bp_results *validation,
             double begun)
{
    struct bp_training *t = run->t;
    double *record = t->record + epoch * BP_FIGURES;
    const double now = bp_seconds_now();
    double held_out = t->validation ? (double)t->validation->x.rows : 0;

    run->enough = now - run->begun > t->budget;
    if (t->ranks && !bp_ranks_add_figures(run, sums, validation, &held_out))
        return;
    const bool failed = bp_failed(t->net);
    if (failed || !isfinite(sums->loss) || run->not_finite) {
        run->status = failed ? BP_FAILED : BP_DIVERGED;
        t->bad_layer = first_bad_layer(run, run->ws, 0);
        return;
    }
    assert(pads_are_zeros(run));
    record[BP_LOSS] = sums->loss / sums->weight;
    record[BP_ACCURACY] = (double)sums->right / (double)sums->samples;
    record[BP_VALIDATION_LOSS] = NAN;
    record[BP_VALIDATION_ACCURACY] = NAN;
    if (t->validation) {
        record[BP_VALIDATION_LOSS] = validation->total / held_out;
        record[BP_VALIDATION_ACCURACY] = (double)validation->right / held_out;
    }
    record[BP_SECONDS] = now - begun;
    record[BP_GRADIENT_NORM] = t->norms ? sums->norm / (double)sums->steps : NAN;
    t->epochs_done = epoch + 1;
    run->keep = true;
}

void
bp_share_weight(const struct bp_data *data, struct bp_rows rows, struct bp_rows batch, double sign,
                double *factors)
{
    double sum = 0;

    for (size_t n = 0; n < batch.count; n++)
        sum += bp_weight_of(data, batch, n);
    for (size_t n = 0; n < rows.count; n++) /* a batch without weight does not move anything */
        factors[n] = sum == 0 ? 0 : sign * bp_weight_of(data, rows, n) / sum;
}

struct bp_rows
bp_batch_at(const struct run *run, size_t first)
{
    const size_t left = run->t->data.x.rows - first;
    return (struct bp_rows){run->order, first, left < run->ws->rows ? left : run->ws->rows};
}

static struct plan *
next_plan(const struct worker *worker)
{
    return &worker->run->plans[(worker->window + 1) % 2];
}

/* All of a team: goes on to the next window; false where training has ended. */
static bool
next_window(struct worker *worker)
{
    struct run *run = worker->run;
    struct plan *plan = next_plan(worker);

    if (worker->pass.me == 0) {
        const double now = bp_seconds_now(), waited = bp_waited(worker->pass.team);
        bp_pace_next(&run->pace, now - run->window_begun,
                     (waited - run->waited) / (double)(worker->pass.threads - 1));
        run->window_begun = now;
        run->waited = waited;
        *plan = (struct plan){.batches = run->pace.steps, .alone = run->pace.alone};
    }
    bp_meet(worker->pass.team);
    if (plan->ended)
        return false;
    worker->window++;
    worker->left = plan->batches;
    worker->alone = plan->alone;
    return true;
}

/* One batch by this thread's share, or by thread 0 alone; false when training ends here. */
static bool
train_rows(struct worker *worker, struct bp_rows rows, struct bp_rows next)
{
    struct run *run = worker->run;

    if (run->way == CHAIN)
        return train_chain(worker, rows);
    if (!worker->alone)
        return bp_train_batch(worker, rows, next);
    if (worker->pass.me == 0) {
        const struct bp_pass of_team = worker->pass;
        worker->pass.team = NULL;
        worker->pass.threads = 1;
        const bool going = bp_train_batch(worker, rows, next);
        if (!going) { /* the others do not know how far it came: it finishes alone */
            bp_online_finish(&worker->pass, worker->pending);
            worker->pending = NULL;
        }
        worker->pass = of_team;
        return going;
    }
    worker->pending = run->way == ONLINE ? &run->ws[worker->step % 2] : NULL;
    worker->step++;
    return true;
}

/* All batches of a block; false when training ends here. */
static bool
train_block(struct worker *worker)
{
    struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    bool met = false;

    if (pass->me == 0) {
        run->window_begun += bp_seconds_now() - run->epoch_ended;
        run->waited += bp_waited(pass->team) - run->waited_then;
    }
    for (struct bp_rows rows = bp_batch_at(run, 0); rows.count > 0;) {
        const struct bp_rows next = bp_batch_at(run, rows.first + rows.count);
        if (pass->team && worker->left == 0 && !next_window(worker)) {
            met = true;
            break;
        }
        worker->left--;
        if (!train_rows(worker, rows, next)) {
            if (pass->me == 0)
                next_plan(worker)->ended = true;
            break;
        }
        rows = next;
    }
    if (!met)
        bp_meet(pass->team); /* thread 0 may have been alone */
    const bool ended = next_plan(worker)->ended;
    if (!(ended && worker->alone))
        bp_online_finish(pass, worker->pending);
    worker->pending = NULL;
    if (pass->me == 0) {
        run->epoch_ended = bp_seconds_now();
        run->waited_then = bp_waited(pass->team);
    }
    bp_meet(pass->team);
    return !ended;
}

/* All batches of an epoch; false when training ends here. */
static bool
train_epoch(struct worker *worker)
{
    if (worker->run->t->ranks)
        return bp_ranks_epoch(worker);
    for (bool first = true; bp_next_block(worker, first); first = false)
        if (!train_block(worker))
            return false;
    const bool going = worker->run->status == BP_OK && !worker->run->stop;
    bp_meet(worker->pass.team); /* before they change */
    return going;
}

/* Loss and accuracy on the validation data, with ranks on this one's share; false when training ends here. */
static bool
validate(const struct worker *worker, struct bp_results *results)
{
    struct run *run = worker->run;
    const struct bp_training *t = run->t;
    struct bp_data data = *t->validation;
    struct bp_pass pass = worker->pass;

    if (t->ranks && !t->ranks->sharded) {
        const struct bp_rows own =
            bp_rank_share(t->ranks, (struct bp_rows){NULL, 0, data.x.rows});
        data.x.data += (ptrdiff_t)own.first * data.x.row_stride;
        data.y.data += (ptrdiff_t)own.first * data.y.row_stride;
        data.x.rows = data.y.rows = own.count;
    }
    pass.ws = &run->held_out;
    pass.dropout = NULL;
    pass.masked = false;
    bp_evaluate(pass, &data, true, results);
    return t->ranks || !run->stop; /* the ranks hear of it with the figures */
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

    if (is_shared(t))
        bp_shared_pack(&worker);
    else if (run->way != CHAIN)
        bp_pack_share(run, me, t->threads);
    bp_meet(team);
    for (size_t epoch = 0; epoch < t->epochs; epoch++) {
        const double begun = me == 0 ? bp_seconds_now() : 0;
        struct bp_results validation = {.poll = poll_if_due, .context = run, .stop = &run->stop};

        worker.sums = (struct sums){0};
        if (me == 0 && run->keys)
            bp_draw_keys(t->net, t->random, run->keys);
        if (!train_epoch(&worker))
            return;
        if (t->validation && !validate(&worker, &validation))
            return;
        if (!finite_share(run, me, t->threads))
            run->not_finite = true;
        bp_meet(team);
        if (me == 0)
            finish_epoch(run, epoch, &worker.sums, &validation, begun);
        bp_meet(team);
        if (run->keep)
            commit_share(run, me, t->threads);
        const bool going = run->status == BP_OK && !run->stop && !run->enough;
        bp_meet(team); /* before they change */
        if (me == 0)
            run->keep = false;
        if (!going)
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
    bp_free(run->chain_before);
    if (!is_shared(run->t)) {
        bp_free(run->packed);
        for (size_t s = 0; s < BP_STATES; s++)
            bp_free(run->packed_state[s]);
        bp_free(run->gradient);
    }
    bp_free(run->nodes_of_everyone);
    bp_free(run->keys);
    bp_free(run->order);
    bp_free(run->steps_of_ranks);
}

/* Memory of zeros at *place, which is NULL without; whether there was enough. */
static bool
take(void **place, size_t count, size_t size)
{
    *place = bp_allocate(count, size);
    return *place != NULL;
}

/* Room for packed parameters, state and, where a step needs all of it at once, gradient; whether
 * there was enough memory. */
static bool
take_vectors(struct run *run)
{
    const struct bp_training *t = run->t;
    const size_t room = bp_packed_room(t->net), size = t->net->kernels->size;

    if (is_shared(t))
        return bp_shared_lay_out(run);
    bool enough = take(&run->packed, room, size);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        enough &= take(&run->packed_state[s], room, size);
    if (t->norms || isfinite(t->optimizer->clip_norm) || (t->ranks && t->ranks->average_every == 0))
        enough &= take(&run->gradient, room, size);
    return enough;
}

static enum way
best_way(const struct bp_training *t)
{
    const struct bp_network *net = t->net;
    const struct bp_optimizer *o = t->optimizer;
    if (t->batch > 1 || !bp_is_plain(net, o) || net->dropout || t->norms || t->ranks ||
        t->data.mask.data || (t->stream && t->stream->whole))
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
    run->begun = run->polled = run->window_begun = run->epoch_ended = bp_seconds_now();
    if (!t->stream || !t->stream->whole) /* else a step may be of any length */
        run->look_every = (size_t)(1.0 / (double)LOOK_SECONDS_INVERSE / (step_seconds + 1e-7));
    /* no more than can have a share, and none where a step takes nanoseconds */
    const size_t shares = bp_panels(net, net->widest);
    const size_t most = run->way == CHAIN ? 1 : shares > t->batch ? shares : t->batch;
    if (t->threads > most)
        t->threads = most;

    const size_t loaded = run->way == CHAIN ? CHAIN_ROWS : t->batch; /* together */
    const unsigned flags =
        (t->data.mask.data ? BP_MASK : 0) | (net->dropout ? BP_DROPOUT : 0);
    for (int i = 0; status == BP_OK && i < (run->way == ONLINE ? 2 : 1); i++)
        status = bp_workspace_lay_out(&run->ws[i], net, is_shared(t) ? bp_shared_rows(t) : loaded,
                                      t->threads, flags);
    if (status == BP_OK && t->validation) {
        const size_t rows = t->validation->x.rows;
        status = bp_workspace_lay_out(&run->held_out, net,
                                      rows < VALIDATION_ROWS ? rows : VALIDATION_ROWS, t->threads,
                                      BP_FORWARD_ONLY);
    }
    if (status != BP_OK)
        return status;
    run->first_step = t->optimizer->steps;
    run->rates = t->rates;
    bool enough = take_vectors(run);
    if (t->ranks && t->ranks->average_every > 0)
        enough &= take((void **)&run->steps_of_ranks, t->ranks->count, sizeof(*run->steps_of_ranks));
    if (net->dropout)
        enough &= take((void **)&run->keys, net->count, sizeof(*run->keys));
    if (t->shuffle) {
        run->order_room = t->data.x.rows;
        enough &= take((void **)&run->order, run->order_room, sizeof(*run->order));
    }
    if (run->way == CHAIN)
        enough &= take(&run->chain_before, bp_packed_room(net), net->kernels->size);
    if (!enough)
        return BP_NO_MEMORY;
    if (run->way != CHAIN)
        return BP_OK;
    bp_pack_share(run, 0, 1);
    return bp_make_chain(net, &run->ws[0], run->packed, &run->chain, &run->chain_memory);
}

enum bp_status
bp_train(struct bp_training *t)
{
    struct run run;

    t->epochs_done = 0;
    if (!t->stream && t->batch > t->data.x.rows)
        t->batch = t->data.x.rows;
    enum bp_status status = init_run(&run, t);
    if (t->ranks)
        status = bp_ranks_ready(t->ranks, status);
    if (status == BP_OK) {
        status = bp_team_run(t->threads, train_on_thread, &run);
        if (status != BP_OK && t->ranks) { /* the others have begun: slower is better than not */
            t->threads = 1;
            status = bp_team_run(1, train_on_thread, &run);
        }
    }
    if (status == BP_OK) {
        status = run.status;
        if (run.stop && status == BP_OK) {
            status = BP_INTERRUPTED;
            if (finite_share(&run, 0, 1)) /* else the last epoch's stay */
                commit_share(&run, 0, 1);
        }
    }
    free_run(&run);
    return status;
}
