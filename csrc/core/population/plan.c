#include "plan.h"

#include <math.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/network/grouping.h"
#include "core/network/quarters.h"
#include "core/train/methods/method.h"

/* Whether all members take the same kind of step, with as many states. */
static bool
are_alike(const struct bp_population *p)
{
    const struct bp_optimizer first = bp_optimizer_of_member(p, 0);

    for (size_t i = 0; i < (p->numbers || p->penalties ? p->members.count : 1); i++) {
        const struct bp_optimizer own = bp_optimizer_of_member(p, i);
        if (!isinf(own.clip_norm) || bp_state_count(&own) != bp_state_count(&first) ||
            bp_member_is_plain(p, i) != bp_member_is_plain(p, 0))
            return false;
    }
    return true;
}

/* Whether all samples have a number for every input. */
static bool
are_dense(const struct bp_population *p, const struct bp_member_data *data)
{
    for (size_t i = 0; data->of && i < (data->own ? p->members.count : 1); i++)
        if (bp_is_sparse(&data->of[i].x))
            return false;
    return true;
}

/* Whether the lanes have a way of doing it. */
static bool
can(const struct bp_population *p, size_t batch)
{
    const struct bp_network *net = p->net;

    return !net->custom && !bp_has_large(net) && !net->dropout && !net->restraint.rated && !net->restraint.masked &&
           !p->settings.norms && !p->settings.mixed && !p->data.of->mask.data &&
           bp_grouping_of(net, batch).block == 0 && are_dense(p, &p->data) &&
           are_dense(p, &p->validation) && are_alike(p);
}

/* Numbers of a member's parameters, a row of W being as long as bp_padded says. */
static size_t
padded_parameters(const struct bp_network *net)
{
    size_t nodes = 0;

    for (size_t l = 0; l < net->count; l++)
        nodes += bp_padded(net->layers[l].outputs) * (net->layers[l].inputs + net->layers[l].bias);
    return nodes;
}

/* Vectors of numbers that a block works on of one sample on its way. */
static size_t
vectors_of_sample(const struct bp_population *p, const struct block_plan *plan)
{
    size_t nodes = plan->own ? p->net->layers[0].inputs : 0;

    for (size_t l = 0; l < p->net->count; l++)
        nodes += 2 * bp_padded(p->net->layers[l].outputs);
    return nodes;
}

static size_t
vectors_passing(const struct bp_population *p, const struct block_plan *plan)
{
    return bp_size_product(vectors_of_sample(p, plan), plan->rows);
}

/* Samples of a step that are loaded at a time, as many in each part as can be: the sums over them go on from
 * part to part, so that the bits are the same. Weights are added up over a whole step before. */
static size_t
rows_of_part(const struct bp_population *p, const struct block_plan *plan)
{
    enum { PASSING = 8192, LEAST = 16, TILE = 4 };
    const size_t rows = PASSING / vectors_of_sample(p, plan) / TILE * TILE;
    const size_t most = bp_larger(rows, LEAST);

    if (plan->chain || p->data.of->weights || most >= plan->together)
        return plan->together;
    const size_t parts = bp_quotient_up(plan->together, most);
    return bp_quotient_up(bp_quotient_up(plan->together, parts), TILE) * TILE;
}

/* How many times sooner a full block of a network of so many `nodes` is done than its members one after the other. */
struct gain {
    size_t nodes;
    double of_short, of_long; /* of vectors of fewer than 16 lanes, and of others; 0 for slower */
};

/* A row for each size, until the first that is large enough; 0 where none is. */
static double
gain_in(const struct gain *rows, size_t count, size_t nodes, bool is_long)
{
    for (size_t i = 0; i < count; i++)
        if (nodes <= rows[i].nodes)
            return is_long ? rows[i].of_long : rows[i].of_short;
    return 0;
}

/* How many times sooner a full block is done than its members one after the other, cautiously, as it was measured;
 * 0 where it is not. benchmarks/populations.py --grid measures it again. A network's numbers, a vector each, must come
 * from a cache fast enough. A sample that all have is not spread over the lanes, and softmax and its loss take the
 * same powers of e there. */
static double
gain_of(const struct bp_population *p, const struct block_plan *plan, bool sharing)
{
    static const struct gain own[] = {{50, 3, 3},        {500, 1.4, 1.8}, {1500, 1.2, 1.5}, {3000, 1.12, 1.3},
                                      {4500, 1.05, 1.1}, {8000, 0, 1.05}, {12000, 0, 1}};
    static const struct gain shared[] = {{50, 3, 3},        {500, 1.5, 2.2},   {1500, 1.35, 1.7}, {3000, 1.3, 1.5},
                                         {4500, 1.1, 1.25}, {8000, 1.05, 1.25}, {12000, 0, 1.15}};
    static const struct gain online[] = {{50, 3, 3}, {500, 1.7, 1.7}, {1500, 1.05, 1.25}, {3000, 0, 1.12}};
    enum { ROWS = sizeof(own) / sizeof(*own), ROWS_ONLINE = sizeof(online) / sizeof(*online) };
    enum { LONG = 16, MOST_PASSING = 16384 };
    const double of_softmax = p->net->fused && p->net->loss == BP_CROSS_ENTROPY ? 1.05 : 1;
    const bool is_long = p->net->kernels->lanes >= LONG;

    if (vectors_passing(p, plan) > MOST_PASSING)
        return 0;
    if (plan->vectors > 1)
        return plan->vectors > BP_BLOCK_VECTORS ? 13 : 10;
    if (plan->plain && plan->batch == 1)
        return gain_in(online, ROWS_ONLINE, plan->nodes, is_long);
    return of_softmax * gain_in(sharing ? shared : own, ROWS, plan->nodes, is_long);
}

bool
bp_last_round_pays(const struct block_plan *plan, size_t left, size_t threads)
{
    return (double)bp_quotient_up(left, threads) >= plan->cost;
}

/* About how long it takes, a member alone taking 1. */
static double
time_of(const struct bp_population *p, size_t active, struct block_plan *plan)
{
    const double gain = gain_of(p, plan, plan->sharing), gain_apart = gain_of(p, plan, false);
    const size_t threads = p->settings.threads, left = active % plan->group;

    if (gain == 0)
        return INFINITY;
    plan->cost = (double)plan->group / gain;
    plan->cost_apart = gain_apart == 0 ? INFINITY : (double)plan->group / gain_apart;
    const size_t most = active / plan->group + ((double)left > plan->cost), whole = most - most % threads;
    const size_t rest = active - bp_smaller(whole * plan->group, active);
    const size_t blocks = bp_last_round_pays(plan, rest, threads) ? most : whole;
    const size_t alone = active - bp_smaller(blocks * plan->group, active);
    return (double)bp_quotient_up(blocks, threads) * plan->cost + (double)bp_quotient_up(alone, threads);
}

/* How members are trained in blocks of so many vectors. */
static struct block_plan
plan_of(const struct bp_population *p, size_t vectors, bool sharing)
{
    enum { ROWS_TO_VALIDATE = 32 };
    struct bp_network net = *p->net;
    const size_t samples = bp_member_samples(p);
    const size_t batch = bp_smaller(p->settings.batch, samples);
    struct bp_optimizer optimizer = bp_optimizer_of_member(p, 0);
    net.penalized = bp_member_is_penalized(p, 0);
    const struct bp_training t = bp_training_of_member(p, (struct bp_span){0, 1}, 0, &net, &optimizer,
                                                       NULL, (struct bp_poll){0});
    const struct method *method = bp_best_method(&t, batch);
    const bool chain = method == &bp_chain;
    struct block_plan plan = {
        .vectors = vectors,
        .group = vectors * net.kernels->lanes,
        .samples = samples,
        .batch = batch,
        .together = chain ? method->rows(batch) : batch,
        .nodes = padded_parameters(&net),
        .own = p->data.own || p->chosen.rows || (p->settings.shuffle && !p->random.one),
        .sharing = sharing,
        .plain = bp_is_plain(&net, &optimizer),
        .chain = chain,
    };

    plan.roomy = plan.own || p->validation.own;
    plan.part = rows_of_part(p, &plan);
    plan.rows = plan.part;
    if (p->validation.of && plan.rows < ROWS_TO_VALIDATE)
        plan.rows = ROWS_TO_VALIDATE;
    return plan;
}

bool
bp_plan_blocks(const struct bp_population *p, size_t active, size_t choices, struct block_plan *plan)
{
    enum { MOST_PARAMETERS = 64 }; /* one such network in a vector would wait for itself */
    static const size_t widths[] = {1, BP_BLOCK_VECTORS, BP_MOST_BLOCK_VECTORS};
    const size_t samples = bp_member_samples(p), threads = p->settings.threads;
    const bool one_order = !p->settings.shuffle || p->random.one || p->random.alike;
    double best = (double)bp_quotient_up(active, threads);

    *plan = (struct block_plan){0};
    if (p->way == BP_ONE_BY_ONE || active == 0 ||
        !can(p, bp_smaller(p->settings.batch, samples)))
        return false;
    for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++) {
        const size_t vectors = widths[i];
        const size_t group = vectors * p->net->kernels->lanes;
        const bool sharing = one_order && !p->data.own && choices * group <= active;
        struct block_plan other = plan_of(p, vectors, sharing);
        const bool online = other.plain && other.batch == 1; /* which has no use for more registers */
        if ((vectors > 1 && p->net->parameters > MOST_PARAMETERS) || (vectors > BP_BLOCK_VECTORS && !online))
            break;
        const double time = time_of(p, active, &other);
        if (time < best || (p->way == BP_IN_LANES && vectors == 1)) {
            *plan = other;
            best = time;
        }
    }
    if (p->way == BP_IN_LANES)
        plan->cost = plan->cost_apart = 0;
    return plan->group > 0;
}
