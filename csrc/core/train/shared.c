/* shared.c: steps of several processes that have memory in common, which takes what follows, in
 * this order: what each rank has to tell, a cache line each; parameters; what the optimizer
 * remembers; and then either
 *
 *   the gradient of each rank:  w moves by Σ over the ranks of their gradients, each rank adding up
 * a part, or x, a and delta, [panels][rows of all ranks][P]:  ∂C/∂w_jk = Σ_n delta_j a_k, each rank
 * some k,
 *
 * whichever is less. With the latter the sum over n is what one process would compute, in the same
 * order. */
#include "ranks.h"

#include <math.h>
#include <string.h>

#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "core/base/memory.h"

enum { PAGE = 4096, LINE = 64 };

static size_t
after(size_t size, size_t unit)
{
    return bp_size_sum(size, unit - 1) / unit * unit;
}

/* the bytes of a packed vector there */
static size_t
vector_bytes(const struct bp_network *net)
{
    return after(bp_size_product(bp_packed_room(net), net->kernels->size), PAGE);
}

/* the panels of x and of each layer's a and delta */
static size_t
panels_of_rows(const struct bp_network *net)
{
    size_t panels = bp_panels(net, net->layers[0].inputs);

    for (size_t l = 0; l < net->count; l++)
        panels += 2 * bp_panels(net, net->layers[l].outputs);
    return panels;
}

static size_t
bytes_of_rows(const struct bp_network *net, const struct bp_ranks *ranks)
{
    const size_t rows = bp_padded(bp_size_product(ranks->count, ranks->rows));
    const size_t panels = bp_size_product(panels_of_rows(net), BP_PANEL_BYTES);
    return after(bp_size_product(rows, panels), PAGE);
}

bool
bp_shares_rows(const struct bp_network *net, const struct bp_ranks *ranks)
{
    return ranks->rows > 0 && bytes_of_rows(net, ranks) < bp_size_product(ranks->count, vector_bytes(net));
}

size_t
bp_room_to_share(const struct bp_network *net, const struct bp_optimizer *optimizer,
                 const struct bp_ranks *ranks)
{
    const size_t vectors = 1 + bp_state_count(optimizer);

    if (net->penalized || isfinite(optimizer->clip_norm))
        return 0;
    const size_t first = bp_size_sum(after(bp_size_product(ranks->count, LINE), PAGE),
                                     bp_size_product(vectors, vector_bytes(net)));
    return bp_size_sum(first, bp_shares_rows(net, ranks)
                                  ? bytes_of_rows(net, ranks)
                                  : bp_size_product(ranks->count, vector_bytes(net)));
}

/* vector i there */
static bp_real *
vector_at(const struct run *run, size_t i)
{
    const struct bp_ranks *ranks = run->t->ranks;
    return (char *)ranks->shared + after(ranks->count * LINE, PAGE) + i * vector_bytes(run->t->net);
}

/* what a rank has to tell */
static double *
words_of(const struct bp_ranks *ranks, size_t rank)
{
    return (double *)((char *)ranks->shared + rank * LINE);
}

/* the gradient of the first rank, or x of all */
static bp_real *
after_state(const struct run *run)
{
    return vector_at(run, 1 + bp_state_count(run->t->optimizer));
}

static bp_real *
gradient_of(const struct run *run, size_t rank)
{
    return (char *)after_state(run) + rank * vector_bytes(run->t->net);
}

/* `panels` panels at *next, which moves on, for all ranks; *own is this rank's part of them */
static bp_real *
take_panels(const struct run *run, bp_real **next, size_t panels, bp_real **own)
{
    const struct bp_network *net = run->t->net;
    const struct bp_ranks *ranks = run->t->ranks;
    bp_real *panel = *next;

    *own = bp_at(net, panel, ranks->me * ranks->rows * net->kernels->panel);
    *next = bp_at(net, panel, panels * run->ws->stride);
    return panel;
}

/* Has run->ws keep its x, a (what the next layer reads of it) and delta in memory in common, and
 * run->everyone see those of all ranks. */
static void
lay_out_rows(struct run *run)
{
    const struct bp_network *net = run->t->net;
    struct bp_workspace *own = run->ws, *all = &run->everyone;
    bp_real *next = after_state(run);

    *all = *own;
    all->nodes = run->nodes_of_everyone;
    all->rows = run->t->ranks->count * run->t->ranks->rows;
    own->rows = run->t->batch;
    all->x = take_panels(run, &next, bp_panels(net, net->layers[0].inputs), &own->x);
    for (size_t l = 0; l < net->count; l++) {
        const size_t panels = bp_panels(net, net->layers[l].outputs);
        struct bp_nodes *mine = &own->nodes[l];
        bp_real **read = mine->dropped ? &mine->dropped : &mine->a;
        const bool one_a = mine->z == mine->a, one_delta = mine->dC_da == mine->delta;

        all->nodes[l] = (struct bp_nodes){.a = take_panels(run, &next, panels, read)};
        all->nodes[l].delta = take_panels(run, &next, panels, &mine->delta);
        if (one_a)
            mine->z = mine->a;
        if (one_delta)
            mine->dC_da = mine->delta;
    }
}

size_t
bp_shared_rows(const struct bp_training *t)
{
    return bp_shares_rows(t->net, t->ranks) ? t->ranks->count * t->ranks->rows : t->batch;
}

bool
bp_shared_lay_out(struct run *run)
{
    const struct bp_training *t = run->t;
    const struct bp_ranks *ranks = t->ranks;
    const size_t room = bp_room_to_share(t->net, t->optimizer, ranks) / PAGE;
    size_t first, last;

    /* nobody else says what this memory holds, and pads are read: each rank clears a part, and all
     * wait for each other before they write */
    bp_share(room, ranks->count, ranks->me, &first, &last);
    memset((char *)ranks->shared + first * PAGE, 0, (last - first) * PAGE);
    run->packed = vector_at(run, 0);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        run->packed_state[s] = vector_at(run, 1 + s);
    if (!bp_shares_rows(t->net, ranks)) {
        run->gradient = gradient_of(run, ranks->me);
        return true;
    }
    run->nodes_of_everyone = bp_allocate(t->net->count, sizeof(*run->nodes_of_everyone));
    if (!run->nodes_of_everyone)
        return false;
    lay_out_rows(run);
    return true;
}

void
bp_shared_meet(struct run *run)
{
    const struct bp_ranks *ranks = run->t->ranks;
    if (!ranks->meet(ranks->context))
        run->status = BP_FAILED;
}

void
bp_shared_pack(const struct worker *worker)
{
    struct run *run = worker->run;
    const struct bp_ranks *ranks = run->t->ranks;
    const struct bp_pass *pass = &worker->pass;

    if (pass->me == 0) {
        bp_shared_meet(run); /* all is cleared */
        bp_pack_share(run, ranks->me, ranks->count);
        bp_shared_meet(run);
    }
    bp_meet(pass->team);
}

void
bp_clear_shared_rows(const struct worker *worker, size_t count)
{
    const struct run *run = worker->run;
    const struct bp_network *net = run->t->net;
    const struct bp_ranks *ranks = run->t->ranks;
    const size_t panel = net->kernels->panel, begin = (ranks->me * ranks->rows + count) * panel;
    size_t first, last;

    bp_share(panels_of_rows(net), worker->pass.threads, worker->pass.me, &first, &last);
    for (size_t q = first; q < last && count < ranks->rows; q++)
        memset(bp_at(net, after_state(run), q * run->ws->stride + begin), 0,
               (ranks->rows - count) * panel * net->kernels->size);
}

void
bp_shared_gather(struct run *run, struct bp_rows rows)
{
    const struct bp_ranks *ranks = run->t->ranks;

    bp_ranks_say(run, rows, words_of(ranks, ranks->me));
    bp_shared_meet(run);
    memset(run->together, 0, sizeof(run->together));
    for (size_t rank = 0; rank < ranks->count; rank++)
        for (size_t i = 0; i < BP_WORDS; i++)
            run->together[i] += words_of(ranks, rank)[i];
    bp_ranks_heed(run);
}

/* From the gradients of all ranks; each sum over them is used while it is in the nearest cache. */
static void
step_by_gradients(const struct worker *worker, const struct bp_optimizer_step *rule)
{
    const struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    const struct bp_network *net = pass->net;
    const struct bp_ranks *ranks = run->t->ranks;
    const size_t panel = net->kernels->panel, most = bp_gradient_chunk(net);
    bp_real *chunk = bp_at(net, pass->ws->scratch.gradient_chunks, pass->me * most);
    size_t begin, end, first, last;

    /* ranks may have different numbers of threads */
    bp_share(net->packed / panel, ranks->count, ranks->me, &begin, &end);
    bp_share(end - begin, pass->threads, pass->me, &first, &last);
    first = (begin + first) * panel;
    last = (begin + last) * panel;
    for (size_t at = first; at < last; at += most) {
        const size_t count = last - at < most ? last - at : most;
        const bp_real *sum = bp_at(net, gradient_of(run, 0), at);

        for (size_t rank = 1; rank < ranks->count; rank++, sum = chunk)
            net->kernels->add(count, sum, bp_at(net, gradient_of(run, rank), at), chunk);
        bp_optimize(net, rule, run->packed, run->packed_state, at, count, sum);
    }
}

void
bp_shared_step(const struct worker *worker, bool direct, const struct bp_optimizer_step *rule)
{
    const struct run *run = worker->run;
    const struct bp_ranks *ranks = run->t->ranks;
    struct bp_pass all = worker->pass; /* with the rows of all ranks; nobody meets with it */

    if (run->gradient) {
        step_by_gradients(worker, rule);
        return;
    }
    all.ws = (struct bp_workspace *)&run->everyone;
    all.rows = all.ws->rows;
    bp_update_part(&all, ranks->count, ranks->me,
                   &(struct bp_update){
                       .what = direct ? BP_DESCEND : BP_OPTIMIZE,
                       .rule = rule,
                       .state = run->packed_state,
                   });
}
