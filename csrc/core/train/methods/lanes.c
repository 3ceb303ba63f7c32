/* lanes.c: large batches of narrow networks, group by group as grouping.h has them, with samples in
 * the lanes of vectors. Threads claim groups from a counter and meet twice a step: when the sums of
 * all groups are there, and when each has done its share of the parameters. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/network/functions.h"
#include "core/passes/backward.h"
#include "core/passes/forward.h"
#include "core/passes/input_layer.h"
#include "core/passes/lanes.h"
#include "core/passes/losses.h"
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

/* run->own. A group is written by who claimed it before the first meeting of a step, and read by all
 * between that and the second, when thread 0 sets `next` to 0. */
struct lanes {
    struct bp_workspace *ws; /* one a thread */
    struct group *groups;
    bp_real *gradients;  /* one a group, packed */
    bp_real *gradient;   /* their sum */
    atomic_size_t next;  /* group that nobody has claimed */
    size_t threads;
};

static bool
suits(const struct bp_training *t, size_t batch)
{
    return bp_fits_lanes(t->net, batch) && !t->net->restraint.masked && !t->net->restraint.rated &&
           !t->ranks && !(t->stream && t->stream->whole) &&
           (t->stream || (t->data.x.rows <= UINT32_MAX && !bp_is_sparse(&t->data.x)));
}

static size_t
rows_of(size_t batch)
{
    return batch;
}

static size_t
groups_of(const struct bp_network *net, size_t rows)
{
    return (rows + bp_lanes_rows(net) - 1) / bp_lanes_rows(net);
}

static enum bp_status
open(struct run *run)
{
    const struct bp_network *net = run->asked->net;
    const size_t groups = groups_of(net, run->applied.batch), size = net->kernels->size;
    struct lanes *own = run->own = bp_allocate(1, sizeof(*own));
    enum bp_status status = BP_OK;

    if (!own)
        return BP_NO_MEMORY;
    own->threads = run->applied.threads;
    own->ws = bp_allocate(own->threads, sizeof(*own->ws));
    own->groups = bp_allocate(groups, sizeof(*own->groups));
    own->gradients = bp_allocate(bp_size_product(groups, net->packed), size);
    own->gradient = bp_allocate(bp_packed_room(net), size);
    if (!own->ws || !own->groups || !own->gradients || !own->gradient)
        return BP_NO_MEMORY;
    for (size_t me = 0; status == BP_OK && me < own->threads; me++)
        status = bp_workspace_lay_out(&own->ws[me], net, bp_lanes_rows(net), 1,
                                      run->asked->data.mask.data ? BP_MASK : 0);
    return status;
}

static void
close(struct run *run)
{
    struct lanes *own = run->own;

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

/* What each sample's delta is multiplied by: `sign` times its share of the batch's weight. */
struct share {
    double sign, batch_weight;
};

static double
factor_of(const struct bp_data *data, struct bp_rows rows, size_t n, struct share share)
{
    if (share.batch_weight == 0)
        return 0;
    return share.sign * bp_weight_of(data, rows, n) / share.batch_weight;
}

/* The sums of a group of so few rows that most lanes would have none: in panels. */
static void
add_few(struct run *run, struct bp_pass *pass, struct bp_rows rows, struct group *group,
        struct share share, struct bp_vector gradient)
{
    const struct bp_data *data = &run->feed.data;

    pass->rows = rows.count;
    bp_load_batch(pass, data, rows, true);
    bp_forward(pass);
    bp_losses(pass);
    group->losses = (struct bp_loss_sums){0};
    bp_sum_losses(pass, pass->ws, data, rows, &group->losses);
    if (!isfinite(group->losses.loss))
        group->bad_layer = bp_first_bad_layer(run, pass->ws, rows.count);
    for (size_t n = 0; n < rows.count; n++)
        pass->ws->factors[n] = factor_of(data, rows, n, share);
    bp_delta_from_loss(pass);
    bp_backward(pass, &(struct bp_update){.what = BP_STORE, .gradient = gradient});
}

/* The sums of the rows of a group. */
static void
add_group(struct run *run, struct bp_pass *pass, struct bp_rows rows, struct group *group,
          struct share share, struct bp_vector gradient)
{
    const struct bp_network *net = pass->net;
    const struct bp_data *data = &run->feed.data;
    double *factors = pass->ws->factors;

    bp_lanes_load(pass, data, rows, true);
    bp_lanes_forward(pass);
    group->losses = bp_lanes_losses(pass, data, rows);
    if (!isfinite(group->losses.loss))
        group->bad_layer = bp_lanes_first_not_finite(pass);
    if (!data->weights && rows.count == pass->rows) { /* no division for each */
        const double factor = factor_of(data, rows, 0, share);
        for (size_t n = 0; n < rows.count; n++)
            factors[n] = factor;
    }
    else {
        memset(factors, 0, pass->rows * sizeof(*factors));
        for (size_t n = 0; n < rows.count; n++)
            factors[bp_lanes_row(net, n)] = factor_of(data, rows, n, share);
    }
    bp_lanes_delta(pass);
    bp_lanes_backward(pass, gradient, NULL);
}

/* The groups that this thread gets hold of. */
static void
add_groups(struct worker *worker, struct bp_rows rows, double sign)
{
    struct run *run = worker->run;
    const struct bp_network *net = worker->pass.net;
    struct lanes *own = run->own;
    const struct share share = {sign, weight_of(&run->feed.data, rows)};
    const size_t groups = groups_of(net, rows.count), each = bp_lanes_rows(net);
    struct bp_pass alone = worker->pass;

    alone.ws = &own->ws[worker->pass.me];
    alone.team = NULL;
    alone.me = 0;
    alone.threads = 1;
    for (size_t g; (g = atomic_fetch_add(&own->next, 1)) < groups;) {
        const size_t first = g * each, left = rows.count - first;
        const struct bp_rows part = {rows.order, rows.first + first, left < each ? left : each};
        const struct bp_vector gradient = {bp_at(net, own->gradients, g * net->packed), true};
        (part.count <= each / 4 ? add_few : add_group)(run, &alone, part, &own->groups[g], share,
                                                       gradient);
    }
}

/* Adds up the losses of all groups; false where their sum is not finite, which ends training. */
static bool
add_up(struct worker *worker, struct bp_rows rows)
{
    struct run *run = worker->run;
    const struct lanes *own = run->own;
    const size_t groups = groups_of(worker->pass.net, rows.count);
    struct bp_loss_sums batch = {0};
    size_t bad = worker->pass.net->count - 1;

    for (size_t g = 0; g < groups; g++) {
        bp_add_loss_sums(&batch, &own->groups[g].losses);
        if (!isfinite(own->groups[g].losses.loss) && own->groups[g].bad_layer < bad)
            bad = own->groups[g].bad_layer;
    }
    if (worker->pass.me == 0)
        bp_note_loss(run, batch.loss, batch.weight);
    worker->sums.loss += batch.loss;
    worker->sums.weight += batch.weight;
    worker->sums.right += batch.right;
    worker->sums.samples += rows.count;
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
    const struct lanes *own = worker->run->own;
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
    const struct lanes *own = run->own;
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
step(struct worker *worker, struct bp_rows rows, struct bp_rows next)
{
    struct run *run = worker->run;
    struct bp_pass *pass = &worker->pass;
    struct lanes *own = run->own;
    struct bp_optimizer optimizer = *run->asked->optimizer;
    const bool plain = !run->vectors.gradient && bp_is_plain(pass->net, &optimizer);

    /* a short last batch is one block; a block of a stream may be sparse */
    if (!bp_fits_lanes(pass->net, rows.count) || bp_is_sparse(&run->feed.data.x))
        return bp_batches.step(worker, rows, next);
    optimizer.rate = bp_rate_of(run, worker->step);
    bp_begin_batch(worker, &run->ws, rows);
    if (pass->me == 0)
        run->verdict.stop = bp_asked_to_stop(run);
    add_groups(worker, rows, plain ? -optimizer.rate : 1);
    bp_meet(pass->team);
    if (pass->me == 0)
        atomic_store(&own->next, 0);
    if (run->verdict.stop || !add_up(worker, rows))
        return false;
    move(worker, &optimizer, plain, groups_of(pass->net, rows.count));
    bp_meet(pass->team);
    bp_count_step(worker);
    return true;
}

const struct method bp_lanes = {
    .name = "lanes",
    .suits = suits,
    .rows = rows_of,
    .open = open,
    .step = step,
    .close = close,
};
