#include "train_block.h"

#include <math.h>
#include <string.h>

#include "ends.h"
#include "load_block.h"

/* Whether all lanes train on the same rows of the same samples. */
static bool
have_same_rows(const struct block *block)
{
    const struct lane *first = &block->lane[0];
    const size_t bytes = block->plan->samples * sizeof(*first->chosen);

    for (size_t i = 1; i < block->count; i++) {
        const struct lane *lane = &block->lane[i];
        if (lane->data != first->data ||
            (lane->chosen && memcmp(lane->chosen, first->chosen, bytes) != 0))
            return false;
    }
    return true;
}

/* Whether all lanes that are alive have the same rows in the same order: from equal seeds. */
static bool
have_same_orders(const struct block *block)
{
    const struct bp_population *p = block->population;
    const uint32_t *first = block->lane[bp_leader_of(block)].order;
    const size_t bytes = block->plan->samples * sizeof(*first);

    if (!block->loaded.same_rows)
        return false;
    for (size_t i = 0; p->settings.shuffle && !p->random.one && i < block->count; i++)
        if (block->lane[i].alive && memcmp(block->lane[i].order, first, bytes) != 0)
            return false;
    return true;
}

static void
put_penalties(struct block *block)
{
    const struct bp_population *p = block->population;

    for (size_t l = 0; l < p->net->count && block->lanes.layers[l].penalties; l++)
        for (size_t i = 0; i < block->count; i++) {
            const struct bp_penalty own = bp_penalty_of_member(p, block->lane[i].member, l);
            bp_put(p->net, block->lanes.layers[l].penalties, i, own.l1);
            bp_put(p->net, block->lanes.layers[l].penalties, block->plan->group + i, own.l2);
        }
}

/* Puts members into lanes. */
static void
begin(struct block *block, const uint32_t *members, size_t count, const struct bp_random *same,
      struct bp_poll poll)
{
    const struct bp_population *p = block->population;
    const size_t samples = bp_member_samples(p), steps = bp_member_steps(p);

    block->count = count;
    block->all_alive = true;
    block->step = 0;
    block->loaded.factors_for = 0;
    block->loaded.all = false;
    block->lanes.step.numbers = NULL;
    block->watch = (struct bp_watch){.poll = poll, .asked = bp_seconds_now()};
    for (size_t i = 0; i < count; i++) {
        struct lane *lane = &block->lane[i];
        const size_t member = members[i], row = member * p->settings.epochs + block->span.first;
        uint32_t *order = lane->order;
        *lane = (struct lane){
            .member = member,
            .alive = true,
            .optimizer = bp_optimizer_of_member(p, member),
            .data = bp_data_of_member(&p->data, member),
            .validation = bp_data_of_member(&p->validation, member),
            .random = same ? same : p->random.of ? &p->random.of[member] : NULL,
            .order = order,
            .chosen = p->chosen.rows ? p->chosen.rows + member * samples : NULL,
            .rates = p->rates.of
                         ? p->rates.of + (p->rates.own ? row : block->span.first) * steps
                         : NULL,
        };
    }
    block->sums.in_a_row = true;
    for (size_t i = 0; i < count; i++)
        block->sums.in_a_row &= members[i] == members[0] + i;
    block->alike = bp_lanes_are_alike(block);
    block->loaded.same_rows = have_same_rows(block);
    put_penalties(block);
    bp_into_lanes(block, p->members.parameters, block->lanes.parameters);
    for (size_t s = 0; s < BP_STATES && block->lanes.state[s]; s++)
        bp_into_lanes(block, p->members.state[s], block->lanes.state[s]);
}

/* Draws the orders of an epoch; false where training is to stop. */
static bool
shuffle(struct block *block)
{
    const struct bp_population *p = block->population;
    const size_t lanes = p->random.one ? 1 : block->count;

    for (size_t i = 0; p->settings.shuffle && i < lanes; i++) {
        const struct lane *lane = &block->lane[i];
        if ((lane->alive || p->random.one) &&
            !bp_shuffle(lane->random, block->plan->samples, lane->order, block->watch.poll))
            return false;
    }
    return true;
}

/* Begins sums over samples, of those that are classified right where this is recorded. */
static void
clear_sums(struct block *block, enum bp_figure right)
{
    const size_t group = block->plan->group;

    memset(block->lanes.sums.loss, 0, group * sizeof(double));
    memset(block->sums.right, 0, group * sizeof(int64_t));
    memset(block->sums.weight, 0, group * sizeof(double));
    block->lanes.sums.right = block->population->record[right] ? block->sums.right : NULL;
}

/* Whether all of these are finite: an exponent of ones alone is carried into the sign. */
static bool
are_finite(size_t count, const double *x)
{
    const uint64_t exponent = (uint64_t)0x7ff << 52;
    uint64_t carried = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof(bits));
        carried |= (bits & exponent) + ((uint64_t)1 << 52);
    }
    return carried >> 63 == 0;
}

/* The means of the sums, of `samples`, of lanes that are `wanted`, NULL for all; else NaN. */
static void
write_means(struct block *block, size_t epoch, enum bp_figure loss, enum bp_figure right, size_t samples,
            const bool *wanted)
{
    const size_t row = block->span.first + epoch, first = block->lane[0].member;
    const double *sums = block->lanes.sums.loss, *weights = block->sums.weight;
    double *losses = bp_figure_of(block->population, loss, row);
    double *parts = bp_figure_of(block->population, right, row);

    if (block->sums.in_a_row && block->all_alive && !wanted) {
        const double *known = samples == block->plan->samples ? block->sums.parts : NULL;
        for (size_t i = 0; losses && i < block->count; i++)
            losses[first + i] = sums[i] / weights[i];
        for (size_t i = 0; parts && i < block->count; i++)
            parts[first + i] = known ? known[block->sums.right[i]] : (double)block->sums.right[i] / (double)samples;
        return;
    }
    for (size_t i = 0; i < block->count; i++) {
        const struct lane *lane = &block->lane[i];
        const bool known = lane->alive && (!wanted || wanted[i]);
        if (losses)
            losses[lane->member] = known ? sums[i] / weights[i] : NAN;
        if (parts)
            parts[lane->member] = known ? (double)block->sums.right[i] / (double)samples : NAN;
    }
}

/* The steps on `count` samples from the first-th on, or one step in parts. */
static void
take_steps_on(struct block *block, size_t first, size_t count)
{
    const struct block_plan *plan = block->plan;
    const struct bp_kernels *kernels = block->population->net->kernels;

    block->lanes.step.gradient = plan->part < count ? block->gradient : NULL;
    for (size_t n = 0; n < count; n += plan->part) {
        const size_t left = count - n, rows = left < plan->part ? left : plan->part;
        bp_load_block(block, first + n, rows);
        if (n == 0)
            bp_ready_block_steps(block, count);
        block->lanes.step.begins = n == 0;
        block->lanes.step.ends = rows == left;
        kernels->population_steps(&block->lanes, rows, plan->batch);
    }
}

/* All steps of an epoch; false where training is to stop. */
static bool
take_steps(struct block *block)
{
    const struct block_plan *plan = block->plan;

    if (!shuffle(block))
        return false;
    block->loaded.own = plan->own && !have_same_orders(block);
    clear_sums(block, BP_ACCURACY);
    for (size_t n = 0; n < plan->samples; n += plan->together) {
        const size_t left = plan->samples - n,
                     count = left < plan->together ? left : plan->together;
        take_steps_on(block, n, count);
        block->step += plan->chain ? count : 1;
        if (bp_watch_stops(&block->watch))
            return false;
    }
    return true;
}

/* The training of lanes that are `ended` ends: what lies in these vectors, after `steps`, stays of it. */
static void
end_at(struct block *block, const bool *ended, size_t steps, const bp_real *parameters,
       bp_real *const state[BP_STATES])
{
    const struct bp_population *p = block->population;

    if (steps > 0) {
        bp_out_of_lanes(block, ended, parameters, p->members.parameters);
        for (size_t s = 0; s < BP_STATES && block->lanes.state[s]; s++)
            bp_out_of_lanes(block, ended, state[s], p->members.state[s]);
    }
    for (size_t i = 0; i < block->count; i++)
        if (ended[i])
            p->members.steps[block->lane[i].member] = block->lane[i].optimizer.steps + steps;
}

static void
end_as_now(struct block *block, const bool *ended)
{
    end_at(block, ended, block->step, block->lanes.parameters, block->lanes.state);
}

static void
end_as_good(struct block *block, const bool *ended, size_t done)
{
    end_at(block, ended, done * bp_member_steps(block->population), block->good.parameters,
           block->good.state);
}

/* Numbers of a lane that has diverged would slow down all that looks for such. */
static void
clear_lane(const struct block *block, size_t i)
{
    const struct bp_network *net = block->population->net;
    const size_t group = block->plan->group;

    for (size_t at = i; at < block->plan->nodes * group; at += group)
        bp_put(net, block->lanes.parameters, at, 0);
}

/* Lane i has diverged in this epoch, which leaves no figures. */
static void
lose(struct block *block, size_t epoch, size_t i)
{
    const struct bp_population *p = block->population;
    struct lane *lane = &block->lane[i];

    for (enum bp_figure f = 0; f < BP_FIGURES; f++) {
        double *figures = bp_figure_of(p, f, block->span.first + epoch);
        if (figures)
            figures[lane->member] = NAN;
    }
    p->members.active[lane->member] = 0;
    lane->alive = block->all_alive = false;
}

/* Ends an epoch for every lane: it stays, or the lane has diverged in it; `finite`: which losses are, NULL
 * for all. */
static void
judge(struct block *block, size_t epoch, const bool *finite)
{
    const struct bp_network *net = block->population->net;
    const size_t numbers = block->plan->nodes * block->plan->group;
    const bool all = net->kernels->all_finite(numbers, block->lanes.parameters);
    const bool unchanged = all && block->all_alive && !finite;
    bool ended[BP_MOST_LANES] = {false};

    for (size_t i = 0; i < block->count && !unchanged; i++) {
        const bool good = all || bp_lane_is_finite(block, i);
        ended[i] = block->lane[i].alive && !((!finite || finite[i]) && good);
        if (ended[i])
            lose(block, epoch, i);
        if (!block->lane[i].alive && !good)
            clear_lane(block, i);
    }
    if (!unchanged && memchr(ended, true, block->count))
        end_as_good(block, ended, epoch);
    if (epoch + 1 == block->span.epochs)
        return;
    memcpy(block->good.parameters, block->lanes.parameters, numbers * net->kernels->size);
    for (size_t s = 0; s < BP_STATES && block->lanes.state[s]; s++)
        memcpy(block->good.state[s], block->lanes.state[s], numbers * net->kernels->size);
}

/* Loss and accuracy on the validation samples; false where training is to stop. */
static bool
validate(struct block *block, size_t epoch)
{
    const struct bp_population *p = block->population;
    const size_t rows = p->validation.of->x.rows, most = block->plan->rows;

    clear_sums(block, BP_VALIDATION_ACCURACY);
    for (size_t n = 0; n < rows; n += most) {
        const size_t count = rows - n < most ? rows - n : most;
        bp_load_block_to_validate(block, n, count);
        p->net->kernels->population_forward(&block->lanes, count);
        if (bp_watch_stops(&block->watch))
            return false;
    }
    write_means(block, epoch, BP_VALIDATION_LOSS, BP_VALIDATION_ACCURACY, rows, NULL);
    return true;
}

/* Ends training after the last step, or after the last epoch where numbers are not finite since. */
static void
interrupt(struct block *block, size_t epoch)
{
    bool now[BP_MOST_LANES] = {false}, good[BP_MOST_LANES] = {false};

    for (size_t i = 0; i < block->count; i++) {
        now[i] = block->lane[i].alive && bp_lane_is_finite(block, i);
        good[i] = block->lane[i].alive && !now[i];
    }
    end_as_now(block, now);
    end_as_good(block, good, epoch);
}

/* Ends an epoch for members that may end by themselves: what stays of it is theirs. False where none goes on. */
static bool
judge_members(struct block *block, size_t epoch)
{
    const struct bp_population *p = block->population;
    const size_t row = block->span.first + epoch;
    bool ended[BP_MOST_LANES] = {false}, going[BP_MOST_LANES] = {false}, better[BP_MOST_LANES] = {false};

    for (size_t i = 0; i < block->count; i++) {
        struct lane *lane = &block->lane[i];
        if (!lane->alive)
            continue;
        const bp_real *before = bp_at(p->net, p->members.parameters, lane->member * p->net->parameters);
        ended[i] = bp_ends(p, lane->member, row, before, &better[i]);
        going[i] = !ended[i];
    }
    if (bp_has_patience(p)) /* which looks at the parameters that the next epoch begins with */
        bp_out_of_lanes(block, going, block->lanes.parameters, p->members.parameters);
    if (memchr(better, true, block->count))
        bp_out_of_lanes(block, better, block->lanes.parameters, p->monitor.kept);
    if (memchr(ended, true, block->count))
        end_as_now(block, ended);
    for (size_t i = 0; i < block->count; i++)
        if (ended[i])
            block->lane[i].alive = block->all_alive = false;
    return memchr(going, true, block->count);
}

enum bp_status
bp_train_members_of(struct block *block, struct bp_span span, const uint32_t *members, size_t count,
               const struct bp_random *same, struct bp_poll poll)
{
    bool finite[BP_MOST_LANES], alive[BP_MOST_LANES];
    const double *losses = block->lanes.sums.loss;

    block->span = span;
    begin(block, members, count, same, poll);
    for (size_t epoch = 0; epoch < span.epochs; epoch++) {
        bool going = take_steps(block);
        const bool all_finite = are_finite(count, losses);
        for (size_t i = 0; i < count && !all_finite; i++)
            finite[i] = isfinite(losses[i]);
        if (going) {
            write_means(block, epoch, BP_LOSS, BP_ACCURACY, block->plan->samples, all_finite ? NULL : finite);
            going = !block->population->validation.of || validate(block, epoch);
        }
        if (!going) {
            interrupt(block, epoch);
            return BP_INTERRUPTED;
        }
        judge(block, epoch, all_finite ? NULL : finite);
        if (bp_may_end(block->population) && !judge_members(block, epoch))
            break;
    }
    for (size_t i = 0; i < count; i++)
        alive[i] = block->lane[i].alive;
    end_as_now(block, alive);
    return BP_OK;
}
