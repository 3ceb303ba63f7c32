/* chain.c: one sample a step, for the smallest networks: many steps in one call of a kernel, by plain
 * gradient descent or by a rule. Where a loss is not finite, the steps since are undone. */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/passes/forward.h"
#include "core/passes/input_layer.h"
#include "core/train/feed.h"
#include "core/train/figures.h"
#include "core/train/methods/links.h"
#include "core/train/methods/method.h"
#include "core/train/methods/single.h"
#include "core/train/stop.h"
#include "core/train/vectors.h"

enum { ROWS = 64 }; /* loaded together */

struct own {
    struct bp_chain chain;
    void *memory;    /* of the chain */
    bp_real *before; /* packed parameters, then states, before the rows that were loaded together, where
                        other steps have been done in this epoch */
    size_t ready; /* samples whose factors are those of any */
    struct {
        bp_real *x, *y; /* all of the samples, as the workspace has rows, or NULL where they are many */
        bool there;
    } samples;
};

static bool
suits(const struct bp_training *t, size_t batch)
{
    return bp_is_single(t, batch) && bp_is_chain(t->net);
}

/* A step that looks at the loss and the gradient of its sample alone. */
static bool
suits_by_rule(const struct bp_training *t, size_t batch)
{
    const struct bp_network *net = t->net;

    return bp_takes_single(t, batch) && bp_is_chain(net) && !net->penalized && !net->custom &&
           isinf(t->optimizer->clip_norm);
}

static size_t
rows_of(size_t batch)
{
    (void)batch;
    return ROWS;
}

/* Room for all samples, where they are no more than are loaded together: they are converted once. */
static enum bp_status
open_samples(struct run *run)
{
    const struct bp_training *t = run->asked;
    const size_t size = run->ws.stride * t->net->kernels->size;
    struct own *own = run->own;

    if (t->stream || t->data.x.rows > run->ws.rows)
        return BP_OK;
    own->samples.x = bp_allocate(bp_panels(t->net, t->net->layers[0].inputs), size);
    own->samples.y = bp_allocate(1, size);
    return own->samples.x && own->samples.y ? BP_OK : BP_NO_MEMORY;
}

static enum bp_status
open(struct run *run)
{
    struct own *own = run->own = bp_allocate(1, sizeof(*own));

    if (!own)
        return BP_NO_MEMORY;
    own->before = bp_room_beside(run);
    if (!own->before || !bp_set_aside(run) || open_samples(run) != BP_OK)
        return BP_NO_MEMORY;
    bp_pack_share(run, 0, 1); /* as W is turned round there */
    return bp_make_chain(run, &own->chain, &own->memory);
}

static enum bp_status
open_by_rule(struct run *run)
{
    const size_t size = run->asked->net->kernels->size;
    const enum bp_status status = open(run);
    struct own *own = run->own;

    if (status != BP_OK)
        return status;
    own->chain.by.rule = run->asked->optimizer->rule;
    own->chain.by.nesterov = run->asked->optimizer->nesterov;
    own->chain.by.numbers = bp_allocate(bp_size_product(ROWS, BP_RULE_NUMBERS), size);
    return own->chain.by.numbers ? BP_OK : BP_NO_MEMORY;
}

static void
close(struct run *run)
{
    struct own *own = run->own;

    if (own) {
        bp_free(own->memory);
        bp_free(own->before);
        bp_free(own->samples.x);
        bp_free(own->samples.y);
        bp_free(own->chain.by.numbers);
    }
    bp_free(own);
}

/* All samples, once. */
static void
keep_samples(struct worker *worker)
{
    struct run *run = worker->run;
    struct own *own = run->own;
    const struct bp_data *data = &run->feed.data;
    const struct bp_network *net = run->asked->net;
    const size_t stride = run->ws.stride;

    worker->pass.rows = data->x.rows;
    bp_load_batch(&worker->pass, data, &(struct bp_rows){NULL, 0, data->x.rows}, true);
    for (size_t q = 0; q < bp_panels(net, net->layers[0].inputs); q++)
        memcpy(bp_at(net, own->samples.x, q * stride), bp_at(net, run->ws.x, q * stride),
               data->x.rows * BP_PANEL_BYTES);
    memcpy(own->samples.y, run->ws.y, data->x.rows * BP_PANEL_BYTES);
    own->samples.there = true;
}

/* Where the chain finds these rows: among all samples, or gathered. */
static void
ready_rows(struct worker *worker, const struct bp_rows *rows)
{
    struct run *run = worker->run;
    struct own *own = run->own;
    const size_t first = rows->first * run->asked->net->kernels->panel;

    if (own->samples.x) {
        if (!own->samples.there)
            keep_samples(worker);
        own->chain.order = rows->order ? rows->order + rows->first : NULL;
        own->chain.x = bp_at(run->asked->net, own->samples.x, rows->order ? 0 : first);
        own->chain.y = bp_at(run->asked->net, own->samples.y, rows->order ? 0 : first);
        return;
    }
    worker->pass.rows = rows->count;
    bp_load_batch(&worker->pass, &run->feed.data, rows, true);
}

/* What delta of each sample is multiplied by, and what the rule's numbers are in its step. */
static void
ready_steps(const struct worker *worker, const struct bp_rows *rows)
{
    const struct run *run = worker->run;
    struct own *own = run->own;
    const struct bp_kernels *kernels = run->asked->net->kernels;
    const bool alike = !run->feed.rates && !run->feed.data.weights && !own->chain.by.numbers;

    if (alike && own->ready >= rows->count)
        return;
    struct bp_optimizer optimizer = *run->asked->optimizer;
    own->ready = alike ? rows->count : 0;
    for (size_t n = 0; n < rows->count; n++) {
        const bool counts = bp_weight_of(&run->feed.data, *rows, n) != 0;
        optimizer.rate = bp_rate_of(run, worker->step + n);
        run->ws.factors[n] = !counts ? 0 : own->chain.by.numbers ? 1 : -optimizer.rate;
        if (!own->chain.by.numbers)
            continue;
        const struct bp_optimizer_step step =
            bp_next_step(&optimizer, run->applied.first_step + worker->step + n);
        kernels->rule_numbers(&step, bp_at(run->asked->net, own->chain.by.numbers,
                                           n * BP_RULE_NUMBERS));
    }
}

/* Goes back to before the first of `rows` whose loss is not finite, as if its step, and those of
 * the rows after it, had not been done. */
static void
undo_bad_steps(struct worker *worker, const struct bp_rows *rows)
{
    struct run *run = worker->run;
    struct own *own = run->own;
    const struct bp_network *net = run->asked->net;
    struct bp_pass *pass = &worker->pass;
    size_t good = 0;

    while (good < rows->count &&
           isfinite(bp_weight_of(&run->feed.data, *rows, good) * pass->ws->losses[good]))
        good++;
    run->verdict.status = BP_DIVERGED;
    if (good == rows->count) { /* the sum alone is not */
        run->trained->bad_layer = net->count - 1;
        return;
    }
    bp_copy_beside(run, run->steps > 0 ? own->before : run->vectors.good.numbers, true);
    bp_turn_chain(net, &own->chain);
    net->kernels->chain_steps(&own->chain, good, pass->ws->factors);
    pass->rows = 1;
    bp_load_batch(pass, &run->feed.data, &(struct bp_rows){rows->order, rows->first + good, 1}, true);
    bp_forward(pass);
    run->trained->bad_layer = bp_first_bad_layer(run, pass->ws, 1);
}

/* Adds up the losses of plain descent as of one batch, and those of a rule one after the other; false where
 * they are not finite. */
static bool
add_up(struct worker *worker, const struct bp_rows *rows)
{
    struct run *run = worker->run;
    const struct own *own = run->own;
    const struct bp_workspace *ws = worker->pass.ws;
    struct sums *sums = &worker->sums;
    const double before = own->chain.by.numbers ? 0 : sums->loss;
    double loss = sums->loss - before;

    for (size_t n = 0; n < rows->count; n++) {
        const double weight = bp_weight_of(&run->feed.data, *rows, n);
        loss += weight * ws->losses[n];
        sums->weight += weight;
        sums->right += ws->classes[n] == ws->wanted[n];
    }
    sums->samples += rows->count;
    sums->loss = before + loss;
    for (size_t n = 0; run->asked->settings.losses && n < rows->count; n++) {
        const double weight = bp_weight_of(&run->feed.data, *rows, n);
        bp_note_loss(run, weight * ws->losses[n], weight);
    }
    return isfinite(loss);
}

/* What is trained, to good.next: rows of a panel, as no layer is wider. */
static void
put_aside(struct run *run)
{
    const struct bp_network *net = run->asked->net;
    const struct own *own = run->own;
    const size_t rows = net->packed / net->kernels->panel;
    bp_real *to = run->vectors.good.next;

    run->vectors.good.finite =
        net->kernels->chain_copy(own->chain.widest, rows, run->vectors.parameters, to);
    for (size_t s = 0; s < BP_STATES && run->vectors.state[s]; s++)
        (void)net->kernels->chain_copy(own->chain.widest, rows, run->vectors.state[s],
                                       bp_at(net, to, (s + 1) * net->packed));
}

static bool
step(struct worker *worker, const struct bp_rows *rows, const struct bp_rows *next)
{
    struct run *run = worker->run;
    struct own *own = run->own;

    run->verdict.stop = bp_asked_to_stop(run);
    if (!run->verdict.stop) {
        ready_rows(worker, rows);
        ready_steps(worker, rows);
        if (run->steps > 0)
            bp_copy_beside(run, own->before, false);
        run->asked->net->kernels->chain_steps(&own->chain, rows->count, run->ws.factors);
        if (!add_up(worker, rows)) {
            undo_bad_steps(worker, rows);
            return false;
        }
        worker->step += rows->count;
        run->steps += rows->count;
    }
    if (next->count == 0 || run->verdict.stop)
        put_aside(run);
    return !run->verdict.stop;
}

const struct method bp_chain = {
    .name = "chain",
    .one_thread = true,
    .suits = suits,
    .rows = rows_of,
    .open = open,
    .step = step,
    .close = close,
};

const struct method bp_chain_by_rule = {
    .name = "chain by a rule",
    .one_thread = true,
    .suits = suits_by_rule,
    .rows = rows_of,
    .open = open_by_rule,
    .step = step,
    .close = close,
};
