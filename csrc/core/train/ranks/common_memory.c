/* common_memory.c: steps of several processes that have memory in common, which takes what follows,
 * in this order: the words of each rank, a cache line each; parameters; what the optimizer
 * remembers; and then either
 *
 *   the gradient of each rank:  w moves by Σ over the ranks of their gradients, each rank adding up
 * a part, or x, a and delta, [panels][rows of all ranks][P]:  ∂C/∂w_jk = Σ_n delta_j a_k, each rank
 * some k,
 *
 * whichever is less. With the latter the sum over n is what one process would compute, in the same
 * order. */
#include "common_memory.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/passes/update.h"
#include "words.h"

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

/* Whether all ranks' x, a and delta are what lies there, and no gradient. */
static bool
shares_rows(const struct bp_network *net, const struct bp_ranks *ranks)
{
    return ranks->rows > 0 &&
           bytes_of_rows(net, ranks) < bp_size_product(ranks->count, vector_bytes(net));
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
    return bp_size_sum(first, shares_rows(net, ranks)
                                  ? bytes_of_rows(net, ranks)
                                  : bp_size_product(ranks->count, vector_bytes(net)));
}

/* vector i there */
static bp_real *
vector_at(const struct run *run, size_t i)
{
    const struct bp_ranks *ranks = run->asked->ranks;
    return (char *)ranks->shared + after(ranks->count * LINE, PAGE) +
           i * vector_bytes(run->asked->net);
}

/* the words of a rank */
static double *
words_of(const struct bp_ranks *ranks, size_t rank)
{
    return (double *)((char *)ranks->shared + rank * LINE);
}

/* the gradient of the first rank, or x of all */
static bp_real *
after_state(const struct run *run)
{
    return vector_at(run, 1 + bp_state_count(run->asked->optimizer));
}

static bp_real *
gradient_of(const struct run *run, size_t rank)
{
    return (char *)after_state(run) + rank * vector_bytes(run->asked->net);
}

/* `panels` panels at *next, which moves on, for all ranks; *own is this rank's part of them */
static bp_real *
take_panels(const struct run *run, bp_real **next, size_t panels, bp_real **own)
{
    const struct bp_network *net = run->asked->net;
    const struct bp_ranks *ranks = run->asked->ranks;
    bp_real *panel = *next;

    *own = bp_at(net, panel, ranks->me * ranks->rows * net->kernels->panel);
    *next = bp_at(net, panel, panels * run->ws.stride);
    return panel;
}

/* Has run->ws keep its x, a (what the next layer reads of it) and delta in memory in common, and
 * run->exchange.of_all see those of all ranks. */
static void
lay_out_rows(struct run *run)
{
    const struct bp_network *net = run->asked->net;
    struct bp_workspace *own = &run->ws, *all = &run->exchange.of_all;
    bp_real *next = after_state(run);

    *all = *own;
    all->nodes = run->exchange.nodes;
    all->rows = run->asked->ranks->count * run->asked->ranks->rows;
    own->rows = run->applied.batch;
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
bp_common_rows(const struct bp_training *t, size_t batch)
{
    return shares_rows(t->net, t->ranks) ? t->ranks->count * t->ranks->rows : batch;
}

bool
bp_common_open(struct run *run)
{
    const struct bp_training *t = run->asked;
    const struct bp_ranks *ranks = t->ranks;
    const size_t room = bp_room_to_share(t->net, t->optimizer, ranks) / PAGE;
    size_t first, last;

    /* nobody else says what this memory holds, and pads are read: each rank clears a part, and all
     * wait for each other before they write */
    bp_share(room, ranks->count, ranks->me, &first, &last);
    memset((char *)ranks->shared + first * PAGE, 0, (last - first) * PAGE);
    run->vectors.parameters = vector_at(run, 0);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        run->vectors.state[s] = vector_at(run, 1 + s);
    if (!shares_rows(t->net, ranks)) {
        run->vectors.gradient = gradient_of(run, ranks->me);
        return true;
    }
    run->exchange.nodes = bp_allocate(t->net->count, sizeof(*run->exchange.nodes));
    if (!run->exchange.nodes)
        return false;
    lay_out_rows(run);
    return true;
}

void
bp_ranks_meet(struct run *run)
{
    const struct bp_ranks *ranks = run->asked->ranks;
    if (!ranks->barrier(ranks->context))
        run->verdict.status = BP_FAILED;
}

void
bp_clear_common_rows(const struct worker *worker, size_t count)
{
    const struct run *run = worker->run;
    const struct bp_network *net = run->asked->net;
    const struct bp_ranks *ranks = run->asked->ranks;
    const size_t panel = net->kernels->panel, begin = (ranks->me * ranks->rows + count) * panel;
    size_t first, last;

    bp_share(panels_of_rows(net), worker->pass.threads, worker->pass.me, &first, &last);
    for (size_t q = first; q < last && count < ranks->rows; q++)
        memset(bp_at(net, after_state(run), q * run->ws.stride + begin), 0,
               (ranks->rows - count) * panel * net->kernels->size);
}

void
bp_gather_words(struct run *run, struct bp_rows rows)
{
    const struct bp_ranks *ranks = run->asked->ranks;

    bp_write_words(run, rows, words_of(ranks, ranks->me));
    bp_ranks_meet(run);
    memset(run->exchange.words, 0, sizeof(run->exchange.words));
    for (size_t rank = 0; rank < ranks->count; rank++)
        for (size_t i = 0; i < BP_WORDS; i++)
            run->exchange.words[i] += words_of(ranks, rank)[i];
    bp_apply_words(run);
}

/* From the gradients of all ranks; each sum over them is used while it is in the nearest cache. */
static void
step_by_gradients(const struct worker *worker, const struct bp_optimizer_step *rule)
{
    const struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    const struct bp_network *net = pass->net;
    const struct bp_ranks *ranks = run->asked->ranks;
    const size_t panel = net->kernels->panel, most = pass->ws->scratch.gradient_chunk;
    bp_real *chunk = bp_at(net, pass->ws->scratch.gradient_chunks, 3 * pass->me * most);
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
        bp_optimize(net, rule, pass->parameters, run->vectors.state, at, count, sum);
    }
}

void
bp_common_step(const struct worker *worker, bool direct, const struct bp_optimizer_step *rule)
{
    struct run *run = worker->run;
    const struct bp_ranks *ranks = run->asked->ranks;
    struct bp_pass all = worker->pass; /* with the rows of all ranks; nobody meets with it */

    if (run->vectors.gradient) {
        step_by_gradients(worker, rule);
        return;
    }
    all.ws = &run->exchange.of_all;
    all.rows = all.ws->rows;
    all.sums = (struct bp_grouping){0};
    bp_update_part(&all, ranks->count, ranks->me,
                   &(struct bp_update){
                       .what = direct ? BP_DESCEND : BP_OPTIMIZE,
                       .rule = rule,
                       .state = run->vectors.state,
                       .moving = bp_forgets(run->asked->optimizer),
                   });
}
