/* chain.c: plain gradient descent with one sample a step, for the smallest networks: many steps in
 * one call of a kernel. Where a loss is not finite, the steps since are undone. */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/passes/forward.h"
#include "core/passes/input_layer.h"
#include "core/passes/losses.h"
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
    bp_real *before; /* packed parameters before the rows that were loaded together */
};

static bool
suits(const struct bp_training *t, size_t batch)
{
    return bp_is_single(t, batch) && bp_is_chain(t->net);
}

static size_t
rows_of(size_t batch)
{
    (void)batch;
    return ROWS;
}

static enum bp_status
open(struct run *run)
{
    const struct bp_network *net = run->asked->net;
    struct own *own = run->own = bp_allocate(1, sizeof(*own));

    if (!own)
        return BP_NO_MEMORY;
    own->before = bp_allocate(bp_packed_room(net), net->kernels->size);
    if (!own->before)
        return BP_NO_MEMORY;
    bp_pack_share(run, 0, 1); /* as W is turned round there */
    return bp_make_chain(net, &run->ws, run->vectors.parameters, &own->chain, &own->memory);
}

static void
close(struct run *run)
{
    struct own *own = run->own;

    if (own) {
        bp_free(own->memory);
        bp_free(own->before);
    }
    bp_free(own);
}

/* Goes back to before the first of `rows` whose loss is not finite, as if its step, and those of
 * the rows after it, had not been done. */
static void
undo_bad_steps(struct worker *worker, struct bp_rows rows)
{
    struct run *run = worker->run;
    struct own *own = run->own;
    const struct bp_network *net = run->asked->net;
    struct bp_pass *pass = &worker->pass;
    size_t good = 0;

    while (good < rows.count && isfinite(pass->ws->losses[good]))
        good++;
    if (good == rows.count)
        return;
    memcpy(run->vectors.parameters, own->before, net->packed * net->kernels->size);
    bp_turn_chain(net, &own->chain);
    net->kernels->chain_steps(&own->chain, good, pass->ws->factors);
    pass->rows = good + 1;
    bp_forward(pass);
}

static bool
step(struct worker *worker, struct bp_rows rows, struct bp_rows next)
{
    struct run *run = worker->run;
    struct own *own = run->own;
    const struct bp_data *data = &run->feed.data;
    const struct bp_network *net = run->asked->net;
    struct bp_pass *pass = &worker->pass;
    double *factors = pass->ws->factors;

    (void)next;
    run->verdict.stop = bp_asked_to_stop(run);
    if (run->verdict.stop)
        return false;
    pass->rows = rows.count;
    bp_load_batch(pass, data, rows, true);
    for (size_t n = 0; n < rows.count; n++) {
        const double rate = bp_rate_of(run, worker->step + n);
        factors[n] = bp_weight_of(data, rows, n) == 0 ? 0 : -rate;
    }
    memcpy(own->before, run->vectors.parameters, net->packed * net->kernels->size);
    net->kernels->chain_steps(&own->chain, rows.count, factors);
    bp_losses(pass);
    undo_bad_steps(worker, rows);
    worker->step += rows.count;
    run->steps += rows.count;
    return bp_add_up(worker, pass->ws, rows);
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
