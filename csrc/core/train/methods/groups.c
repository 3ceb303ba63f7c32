/* groups.c: large batches of networks that are not large, group by group as grouping.h has them: with
 * samples in the lanes of vectors where the network is narrow enough, else in panels. Each thread takes
 * whole groups through all layers in a workspace of its own. Threads meet twice a step: when the sums of
 * all groups are there, and when each has done its share of the parameters. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "core/passes/lanes.h"
#include "core/passes/whole_gradient.h"
#include "core/train/feed.h"
#include "core/train/figures.h"
#include "core/train/methods/batch.h"
#include "core/train/methods/method.h"
#include "core/train/stop.h"
#include "core/train/vectors.h"

/* What the samples of a group add up to, besides its gradient. */
struct group {
    struct bp_loss_sums losses;
    size_t bad_layer; /* where the loss is not finite */
};

/* run->own. A group is written by who takes it before the first meeting of a step, and read by all
 * between that and the second. */
struct groups {
    struct bp_workspace *ws; /* one a thread */
    struct group *groups;
    bp_real *gradients;  /* one a group, packed */
    bp_real *gradient;   /* their sum */
    size_t threads;
    bool lanes;
};

/* A batch, by groups. */
struct batch {
    struct bp_rows rows;
    size_t group;        /* rows of a group */
    double weight;       /* Σ w_n */
    double sign;         /* what deltas are multiplied by, besides */
    bool moving;         /* as bp_update */
};

static bool
suits(const struct bp_training *t, size_t batch)
{
    return bp_grouping_of(t->net, batch).group > 0 && !t->net->custom && !t->ranks &&
           !(t->stream && t->stream->whole) &&
           (t->stream || (t->data.x.rows <= UINT32_MAX && !bp_is_sparse(&t->data.x)));
}

/* Whether a batch goes the ordinary way: a short last one, which is one block, or a sparse one of a
 * stream. */
static bool
is_ordinary(const struct run *run, size_t rows)
{
    return bp_grouping_of(run->asked->net, rows).group == 0 || bp_is_sparse(&run->feed.data.x);
}

static size_t
rows_of(size_t batch)
{
    return batch;
}

/* run->ws is for batches that go the ordinary way: any of a stream, else the last one. */
static size_t
room_for(const struct bp_training *t, size_t batch)
{
    const size_t last = t->stream ? batch : bp_samples_of(t) % batch;
    return last > 0 ? last : 1;
}

static enum bp_status
open(struct run *run)
{
    const struct bp_network *net = run->asked->net;
    const size_t batch = run->applied.batch, groups = bp_most_groups(net, batch);
    const size_t rows = bp_takes_groups(net) ? bp_lanes_rows(net) : BP_MOST_BLOCK_ROWS;
    const size_t size = net->kernels->size;
    const unsigned flags =
        (run->asked->data.mask.data ? BP_MASK : 0) | (net->dropout ? BP_DROPOUT : 0);
    struct groups *own = run->own = bp_allocate(1, sizeof(*own));
    enum bp_status status = BP_OK;

    if (!own)
        return BP_NO_MEMORY;
    own->threads = run->applied.threads;
    own->lanes = bp_fits_lanes(net, batch);
    own->ws = bp_allocate(own->threads, sizeof(*own->ws));
    own->groups = bp_allocate(groups, sizeof(*own->groups));
    own->gradients = bp_allocate(bp_size_product(groups, net->packed), size);
    own->gradient = bp_allocate(bp_packed_room(net), size);
    if (!own->ws || !own->groups || !own->gradients || !own->gradient)
        return BP_NO_MEMORY;
    for (size_t me = 0; status == BP_OK && me < own->threads; me++)
        status = bp_workspace_lay_out(&own->ws[me], net, rows, 1, flags);
    return status;
}

static void
close(struct run *run)
{
    struct groups *own = run->own;

    if (!own)
        return;
    for (size_t me = 0; own->ws && me < own->threads; me++)
        bp_workspace_free(&own->ws[me]);
    bp_free(own->ws);
    bp_free(own->groups);
    bp_free(own->gradients);
    bp_free(own->gradient);
    bp_free(own);
}

/* Σ w_n of a batch, in order. */
static double
weight_of(const struct bp_data *data, struct bp_rows batch)
{
    double sum = 0;

    if (!data->weights)
        return (double)batch.count;
    for (size_t n = 0; n < batch.count; n++)
        sum += bp_weight_of(data, batch, n);
    return sum;
}

/* What the delta of row n of `rows` is multiplied by: its share of the batch's weight. */
static double
factor_of(const struct bp_data *data, struct bp_rows rows, size_t n, const struct batch *batch)
{
    if (batch->weight == 0)
        return 0;
    return batch->sign * bp_weight_of(data, rows, n) / batch->weight;
}

/* Whether training ends amid this step, before anything has moved. */
static bool
halts(const struct worker *worker)
{
    return bp_halts(&worker->run->halt, worker->pass.me == 0);
}

/* The sums of the rows of a group, in panels: all at once, or a block at a time. */
static void
add_panels(const struct worker *worker, struct bp_pass *pass, struct bp_rows rows,
           struct group *group, const struct batch *batch, struct bp_vector gradient)
{
    struct run *run = worker->run;
    const struct bp_network *net = pass->net;
    const struct bp_data *data = &run->feed.data;
    const size_t together = bp_rows_together(net, batch->rows.count);
    struct bp_update update = {.what = BP_STORE, .gradient = gradient, .moving = batch->moving};
    struct bp_dropout dropout = {run->keys, 0};

    *group = (struct group){.bad_layer = net->count - 1};
    pass->dropout = run->keys ? &dropout : NULL;
    for (size_t n = 0; n < rows.count && !halts(worker); n += pass->rows, update.add = true) {
        const size_t left = rows.count - n, count = left < together ? left : together;
        const struct bp_rows part = {rows.order, rows.first + n, count};
        struct bp_loss_sums losses = {0};
        pass->rows = count;
        dropout.place = run->feed.place + part.first;
        bp_load_batch(pass, data, &part, true);
        bp_forward(pass);
        bp_losses(pass);
        bp_sum_losses(pass, pass->ws, data, part, &losses);
        bp_add_loss_sums(&group->losses, &losses);
        if (!isfinite(losses.loss)) {
            const size_t bad = bp_first_bad_layer(run, pass->ws, count);
            group->bad_layer = bad < group->bad_layer ? bad : group->bad_layer;
        }
        for (size_t i = 0; i < count; i++)
            pass->ws->factors[i] = factor_of(data, part, i, batch);
        bp_delta_from_loss(pass);
        bp_backward(pass, &update);
    }
}

/* The same in lanes. */
static void
add_lanes(const struct worker *worker, struct bp_pass *pass, struct bp_rows rows,
          struct group *group, const struct batch *batch, struct bp_vector gradient)
{
    const struct bp_network *net = pass->net;
    const struct bp_data *data = &worker->run->feed.data;
    double *factors = pass->ws->factors;

    bp_lanes_load(pass, data, rows, true);
    bp_lanes_forward(pass);
    group->losses = bp_lanes_losses(pass, data, rows);
    if (!isfinite(group->losses.loss))
        group->bad_layer = bp_lanes_first_not_finite(pass);
    if (!data->weights && rows.count == pass->rows) { /* no division for each */
        const double factor = factor_of(data, rows, 0, batch);
        for (size_t n = 0; n < rows.count; n++)
            factors[n] = factor;
    }
    else {
        memset(factors, 0, pass->rows * sizeof(*factors));
        for (size_t n = 0; n < rows.count; n++)
            factors[bp_lanes_row(net, n)] = factor_of(data, rows, n, batch);
    }
    bp_lanes_delta(pass);
    bp_lanes_backward(pass, gradient, NULL);
}

/* Groups of a batch. */
static size_t
groups_of(const struct batch *batch)
{
    return bp_quotient_up(batch->rows.count, batch->group);
}

/* Group g, by this thread alone */
static void
add_group(const struct worker *worker, struct bp_pass *alone, size_t g, const struct batch *batch)
{
    const struct bp_network *net = alone->net;
    const struct groups *own = worker->run->own;
    const struct bp_rows rows = batch->rows;
    const size_t first = g * batch->group, count = bp_smaller(rows.count - first, batch->group);
    const struct bp_rows part = {rows.order, rows.first + first, count};
    const struct bp_vector gradient = {bp_at(net, own->gradients, g * net->packed), true};
    /* of few rows most lanes would have none */
    const bool lanes = own->lanes && count > batch->group / 4;

    bp_await_order(worker->run, part.first);
    (lanes ? add_lanes : add_panels)(worker, alone, part, &own->groups[g], batch, gradient);
}

/* The groups that this thread gets hold of: as far as may be those whose gradients it has written before. Its share is
 * counted from the last group on, thread 0's being the first ones, as the order of samples is settled from its end on. */
static void
add_groups(struct worker *worker, const struct batch *batch)
{
    enum { UNTIL_A_POLL = 64 }; /* of tiny networks' groups: less than a millisecond */
    const struct groups *own = worker->run->own;
    const size_t groups = groups_of(batch);
    struct bp_pieces pieces = bp_divide(&worker->pass, groups, 1);
    struct bp_pass alone = worker->pass;
    size_t begin, end;

    alone.ws = &own->ws[worker->pass.me];
    alone.team = NULL;
    alone.me = 0;
    alone.threads = 1;
    alone.sums = bp_sums_together(alone.net, batch->rows.count);
    pieces.me = pieces.threads - 1 - pieces.me;
    while (bp_next_piece(&pieces, &begin, &end))
        for (size_t i = begin; i < end && (i % UNTIL_A_POLL > 0 || !halts(worker)); i++)
            add_group(worker, &alone, groups - 1 - i, batch);
}

/* Adds up the losses of all groups; false where their sum is not finite, which ends training. */
static bool
add_up(struct worker *worker, const struct batch *by)
{
    struct run *run = worker->run;
    const struct groups *own = run->own;
    struct bp_loss_sums batch = {0};
    size_t bad = worker->pass.net->count - 1;

    for (size_t g = 0; g < groups_of(by); g++) {
        bp_add_loss_sums(&batch, &own->groups[g].losses);
        if (!isfinite(own->groups[g].losses.loss) && own->groups[g].bad_layer < bad)
            bad = own->groups[g].bad_layer;
    }
    if (worker->pass.me == 0)
        bp_note_loss(run, batch.loss, batch.weight);
    worker->sums.loss += batch.loss;
    worker->sums.weight += batch.weight;
    worker->sums.right += batch.right;
    worker->sums.samples += by->rows.count;
    if (isfinite(batch.loss))
        return true;
    if (worker->pass.me == 0) {
        const size_t layer = bp_first_not_finite(run->asked->net, worker->pass.parameters);
        run->trained->bad_layer = layer < bad ? layer : bad;
        run->verdict.status = BP_DIVERGED;
    }
    return false;
}

/* This thread's share of the sum over the groups. */
static bp_real *
add_gradients(const struct worker *worker, size_t groups, size_t *first, size_t *count)
{
    const struct bp_network *net = worker->pass.net;
    const struct groups *own = worker->run->own;
    const size_t panel = net->kernels->panel;
    size_t begin, end;

    bp_share(net->packed / panel, worker->pass.threads, worker->pass.me, &begin, &end);
    *first = begin * panel;
    *count = (end - begin) * panel;
    bp_real *sum = bp_at(net, own->gradient, *first);
    memset(sum, 0, *count * net->kernels->size);
    for (size_t g = 0; g < groups; g++)
        net->kernels->add(*count, sum, bp_at(net, own->gradients, g * net->packed + *first), sum);
    return sum;
}

/* From the gradients of all groups. Then bp_meet(). */
static void
move(struct worker *worker, const struct bp_optimizer *optimizer, bool plain, size_t groups)
{
    struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    const struct bp_network *net = pass->net;
    const struct groups *own = run->own;
    struct bp_optimizer_step rule =
        bp_next_step(optimizer, run->applied.first_step + worker->step);
    size_t first, count;
    const bp_real *sum = add_gradients(worker, groups, &first, &count);

    if (plain) {
        bp_real *w = bp_at(net, pass->parameters.numbers, first);
        net->kernels->add(count, w, sum, w);
        return;
    }
    if (run->vectors.gradient || net->penalized) {
        bp_meet(pass->team);
        const double norm =
            bp_finish_gradient(pass, (struct bp_vector){own->gradient, true}, 1);
        worker->sums.norm += norm;
        rule.scale = bp_clip_scale(norm, optimizer->clip_norm);
    }
    bp_optimize_share(pass, &rule, (struct bp_vector){own->gradient, true},
                      run->vectors.state);
}

static bool
step(struct worker *worker, const struct bp_rows *rows, const struct bp_rows *next)
{
    struct run *run = worker->run;
    struct bp_pass *pass = &worker->pass;
    struct bp_optimizer optimizer = *run->asked->optimizer;
    const bool plain = !run->vectors.gradient && bp_is_plain(pass->net, &optimizer);

    if (is_ordinary(run, rows->count))
        return bp_batches.step(worker, rows, next);
    optimizer.rate = bp_rate_of(run, worker->step);
    bp_begin_batch(worker, &run->ws, *rows);
    if (pass->me == 0) { /* the order in any case: the others wait for it */
        const bool settled = bp_settle_order(run);
        run->verdict.stop = bp_asked_to_stop(run) || !settled;
    }
    const struct batch batch = {
        .rows = *rows,
        .group = bp_grouping_of(pass->net, rows->count).group,
        .weight = weight_of(&run->feed.data, *rows),
        .sign = plain ? -optimizer.rate : 1,
        .moving = bp_forgets(&optimizer),
    };
    add_groups(worker, &batch);
    if (pass->me == 0 && bp_gave_up(run))
        run->verdict.stop = true;
    bp_meet(pass->team);
    if (run->verdict.stop || !add_up(worker, &batch))
        return false;
    move(worker, &optimizer, plain, groups_of(&batch));
    bp_meet(pass->team);
    bp_count_step(worker);
    return true;
}

const struct method bp_groups = {
    .name = "groups",
    .settles = true,
    .suits = suits,
    .rows = rows_of,
    .room = room_for,
    .open = open,
    .step = step,
    .close = close,
};
