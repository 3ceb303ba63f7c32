#include "load_block.h"

#include <string.h>

#include "core/base/sizes.h"

/* Where a member's rows come from: `data`, in the order of `order` and of `chosen`, NULL for their own. */
struct source {
    const struct bp_data *data;
    const uint32_t *order, *chosen;
};

/* Rows [first, first + count) of a source, count at most LOADED_ROWS, in `index`. */
static struct bp_rows
rows_of(const struct source *source, size_t first, size_t count, uint32_t *index)
{
    for (size_t n = 0; n < count; n++) {
        const size_t at = source->order ? source->order[first + n] : first + n;
        index[n] = source->chosen ? source->chosen[at] : (uint32_t)at;
    }
    return (struct bp_rows){index, 0, count};
}

/* Each lane's rows, from where they lie, to [row][column][group]. */
static void
interleave_rows(struct block *block, const struct source *sources, bool targets, size_t first,
                size_t count, bp_real *out)
{
    const struct bp_network *net = block->population->net;
    const size_t group = block->plan->group;
    const bp_real **places = block->loaded.places;
    size_t columns = 0;

    for (size_t n = first; n < first + count; n++) {
        for (size_t i = 0; i < block->count; i++) {
            const struct source *source = &sources[i];
            const struct bp_array *array = targets ? &source->data->y : &source->data->x;
            size_t at = source->order ? source->order[n] : n;
            at = source->chosen ? source->chosen[at] : at;
            places[i] = array->data + (ptrdiff_t)at * array->row_stride;
            columns = array->columns;
        }
        for (size_t i = block->count; i < group; i++)
            places[i] = places[0];
        net->kernels->interleave(group, columns, places,
                                 bp_at(net, out, (n - first) * columns * group));
    }
}

/* The panels of lane i of `panels` panels a row. */
static bp_real *
panels_of(const struct block *block, size_t i, size_t panels)
{
    const struct bp_network *net = block->population->net;
    return bp_at(net, block->loaded.panels, i * panels * LOADED_ROWS * net->kernels->panel);
}

/* `count` rows of `columns` numbers from each lane's panels to [row][column][group]. */
static void
interleave(struct block *block, size_t count, size_t columns, bp_real *out)
{
    const struct bp_network *net = block->population->net;
    const size_t panel = net->kernels->panel, panels = bp_panels(net, columns);
    const size_t group = block->plan->group, stride = LOADED_ROWS * panel;

    for (size_t n = 0; n < count; n++)
        for (size_t q = 0; q < panels; q++) {
            const size_t width = bp_end_of(net, q + 1, columns) - q * panel;
            for (size_t i = 0; i < group; i++)
                block->loaded.places[i] = bp_at(
                    net, panels_of(block, i < block->count ? i : 0, panels), q * stride + n * panel);
            net->kernels->interleave(group, width, block->loaded.places,
                                     bp_at(net, out, (n * columns + q * panel) * group));
        }
}

/* A number in `group` places */
static void
put_in_each(const struct bp_network *net, const bp_real *number, size_t group, bp_real *out)
{
    if (net->kernels->dtype == BP_FLOAT32) {
        const float single = *(const float *)number;
        for (size_t i = 0; i < group; i++)
            ((float *)out)[i] = single;
    }
    else {
        const double wide = *(const double *)number;
        for (size_t i = 0; i < group; i++)
            ((double *)out)[i] = wide;
    }
}

/* The same, of rows that all lanes have, from lane 0's panels: each number `group` times. */
static void
repeat(struct block *block, size_t count, size_t columns, bp_real *out)
{
    const struct bp_network *net = block->population->net;
    const size_t panel = net->kernels->panel, group = block->plan->group;

    for (size_t n = 0; n < count; n++)
        for (size_t first = 0; first < columns; first += panel)
            for (size_t j = first; j < columns && j < first + panel; j++)
                put_in_each(net, bp_at(net, block->loaded.panels, first * LOADED_ROWS + n * panel + j - first),
                            group, bp_at(net, out, (n * columns + j) * group));
}

/* Weights of `count` rows from sample n of the loaded ones on, and their sums. */
static void
load_weights(struct block *block, const struct source *sources, bool own, size_t n, size_t first,
             size_t count)
{
    const size_t group = block->plan->group;
    double *weights = block->loaded.weights + n * group;

    for (size_t i = 0; i < block->count; i++) {
        const struct source *source = &sources[own ? i : 0];
        uint32_t index[LOADED_ROWS];
        const struct bp_rows rows = rows_of(source, first, count, index);
        for (size_t k = 0; k < count; k++) {
            weights[k * group + i] = bp_weight_of(source->data, rows, k);
            block->sums.weight[i] += weights[k * group + i];
        }
    }
}

/* Rows of x that need no conversion, side by side */
static void
copy_rows(const struct bp_network *net, const struct source *source, size_t first, size_t count, bp_real *x)
{
    const struct bp_array *array = &source->data->x;
    uint32_t index[LOADED_ROWS];

    (void)rows_of(source, first, count, index);
    for (size_t n = 0; n < count; n++)
        memcpy(bp_at(net, x, n * array->columns), array->data + (ptrdiff_t)index[n] * array->row_stride,
               array->columns * net->kernels->size);
}

/* x of at most LOADED_ROWS rows, to sample n of the loaded ones. */
static void
load_x(struct block *block, const struct source *sources, bool own, size_t n, size_t first,
          size_t count)
{
    const struct bp_network *net = block->population->net;
    const size_t inputs = net->layers[0].inputs, stride = LOADED_ROWS * net->kernels->panel;
    bp_real *x = bp_at(net, block->loaded.x, n * inputs * (own ? block->plan->group : 1));
    uint32_t index[LOADED_ROWS];

    if (own && block->loaded.plain_x) {
        interleave_rows(block, sources, false, first, count, x);
        return;
    }
    if (block->loaded.plain_x) {
        copy_rows(net, &sources[0], first, count, x);
        return;
    }
    for (size_t i = 0; i < (own ? block->count : 1); i++) {
        const struct bp_rows rows = rows_of(&sources[i], first, count, index);
        bp_gather(net, &sources[i].data->x, &rows, panels_of(block, i, bp_panels(net, inputs)), stride);
    }
    if (own)
        interleave(block, count, inputs, x);
    else
        bp_read_panels(net, count, inputs, block->loaded.panels, stride, x, inputs);
}

/* The same of y. */
static void
load_y(struct block *block, const struct source *sources, bool own, size_t n, size_t first,
       size_t count)
{
    const struct bp_network *net = block->population->net;
    const size_t outputs = net->layers[net->count - 1].outputs,
                 stride = LOADED_ROWS * net->kernels->panel;
    bp_real *y = bp_at(net, block->loaded.y, n * outputs * block->plan->group);
    uint32_t index[LOADED_ROWS];

    if (own && block->loaded.plain_y) {
        interleave_rows(block, sources, true, first, count, y);
        return;
    }
    for (size_t i = 0; i < (own ? block->count : 1); i++) {
        const struct bp_rows rows = rows_of(&sources[i], first, count, index);
        bp_gather_targets(net, sources[i].data, &rows, panels_of(block, i, bp_panels(net, outputs)),
                          stride);
    }
    if (own)
        interleave(block, count, outputs, y);
    else
        repeat(block, count, outputs, y);
}

/* Notes whether that is so for all sources. */
static void
note_plain(struct block *block, const struct source *sources, bool own)
{
    const struct bp_network *net = block->population->net;
    struct loaded *loaded = &block->loaded;

    loaded->plain_x = loaded->plain_y = true;
    for (size_t i = 0; i < (own ? block->count : 1); i++) {
        if (i > 0 && sources[i].data == sources[i - 1].data)
            continue;
        loaded->plain_x &= bp_is_plain_array(net, &sources[i].data->x);
        loaded->plain_y &= bp_is_plain_array(net, &sources[i].data->y) && !sources[i].data->labels;
    }
}

static void
load(struct block *block, const struct source *sources, bool own, size_t first, size_t count)
{
    const bool weighted = sources[0].data->weights;

    if (first == 0)
        note_plain(block, sources, own);
    for (size_t n = 0; n < count; n += LOADED_ROWS) {
        const size_t rows = bp_smaller(count - n, LOADED_ROWS);
        load_x(block, sources, own, n, first + n, rows);
        load_y(block, sources, own, n, first + n, rows);
        if (weighted)
            load_weights(block, sources, own, n, first + n, rows);
    }
    for (size_t i = 0; i < block->count && !weighted; i++)
        block->sums.weight[i] += (double)count;
    block->lanes.data.x = block->loaded.x;
    block->lanes.data.y = block->loaded.y;
    block->lanes.data.own = own;
    block->lanes.data.weights = weighted ? block->loaded.weights : NULL;
}

void
bp_load_block(struct block *block, size_t first, size_t count)
{
    const bool own = block->loaded.own, one = block->population->random.one;
    const size_t leader = own ? 0 : bp_leader_of(block);
    struct source sources[BP_MOST_LANES];

    if (block->loaded.all) { /* as it was in the last epoch */
        for (size_t i = 0; i < block->count; i++)
            block->sums.weight[i] += (double)count;
        return;
    }
    for (size_t i = 0; i < (own ? block->count : 1); i++) {
        const struct lane *lane = &block->lane[leader + i];
        sources[i] = (struct source){lane->data, one ? block->lane[0].order : lane->order,
                                     lane->chosen};
    }
    load(block, sources, own, first, count);
    block->loaded.all = count == block->plan->samples && !block->population->settings.shuffle &&
                        !block->lanes.data.weights;
}

void
bp_load_block_to_validate(struct block *block, size_t first, size_t count)
{
    const bool own = block->population->validation.own;
    struct source sources[BP_MOST_LANES];

    for (size_t i = 0; i < (own ? block->count : 1); i++)
        sources[i] = (struct source){.data = block->lane[i].validation};
    block->loaded.all = false;
    load(block, sources, own, first, count);
}

static double
rate_of(const struct lane *lane, size_t step)
{
    return lane->rates ? lane->rates[step] : lane->optimizer.rate;
}

/* What delta of the samples that are loaded is multiplied by, as bp_train's methods have it. */
static void
ready_factors(struct block *block, size_t count)
{
    const struct bp_network *net = block->population->net;
    const struct block_plan *plan = block->plan;
    const double *weights = block->lanes.data.weights;
    const bool alike = !weights && !(plan->chain && block->lane[0].rates);
    const bool lasting = alike && !(plan->plain && block->lane[0].rates);
    const size_t group = plan->group, rows = alike ? 1 : count;

    block->lanes.step.factors = block->loaded.factors;
    block->lanes.step.factors_row = alike ? 0 : group;
    if (lasting && block->loaded.factors_for == count)
        return;
    block->loaded.factors_for = lasting ? count : 0;
    for (size_t i = 0; i < block->count; i++) {
        const struct lane *lane = &block->lane[i];
        const double sign = plan->plain ? -rate_of(lane, block->step) : 1;
        double sum = weights ? 0 : (double)count;
        for (size_t n = 0; weights && n < count; n++)
            sum += weights[n * group + i];
        for (size_t n = 0; n < rows; n++) {
            const double weight = weights ? weights[n * group + i] : 1;
            const double factor = plan->chain ? (weight == 0 ? 0 : -rate_of(lane, block->step + n))
                                  : sum == 0  ? 0
                                              : sign * weight / sum;
            bp_put(net, block->loaded.factors, n * group + i, factor);
        }
    }
}

/* The step of lane i, from that of the lane before it where they are alike. */
static struct bp_optimizer_step
step_of(const struct block *block, size_t i)
{
    const struct lane *lane = &block->lane[i], *last = &block->lane[i > 0 ? i - 1 : 0];
    const struct bp_optimizer *own = &lane->optimizer, *other = &last->optimizer;
    struct bp_optimizer optimizer = *own;

    optimizer.rate = rate_of(lane, block->step);
    if (i == 0 || own->beta_1 != other->beta_1 || own->beta_2 != other->beta_2 ||
        own->steps != other->steps)
        return bp_next_step(&optimizer, own->steps + block->step);
    struct bp_optimizer_step step = last->rule; /* powers are most of the work */
    step.rate = optimizer.rate;
    step.momentum = own->momentum;
    step.decay = own->decay;
    step.epsilon = own->epsilon;
    step.limit = own->clip_value;
    return step;
}

/* The numbers of lane i's step, for the lanes from it to before `last` */
static void
put_numbers(const struct block *block, size_t i, size_t last)
{
    const struct bp_network *net = block->population->net;
    const size_t group = block->plan->group;
    float singles[BP_RULE_NUMBERS];
    double doubles[BP_RULE_NUMBERS];

    if (net->kernels->dtype == BP_FLOAT32) {
        float *to = block->loaded.numbers;
        net->kernels->rule_numbers(&block->lane[i].rule, singles);
        for (size_t k = 0; k < BP_RULE_NUMBERS; k++)
            for (size_t at = i; at < last; at++)
                to[k * group + at] = singles[k];
    }
    else {
        double *to = block->loaded.numbers;
        net->kernels->rule_numbers(&block->lane[i].rule, doubles);
        for (size_t k = 0; k < BP_RULE_NUMBERS; k++)
            for (size_t at = i; at < last; at++)
                to[k * group + at] = doubles[k];
    }
}

static void
ready_rule(struct block *block)
{
    const struct bp_optimizer *first = &block->lane[0].optimizer;
    const bool adam = first->rule == BP_ADAM || first->rule == BP_ADAMW;

    if (block->lanes.step.numbers && !adam && !block->lane[0].rates)
        return;
    const size_t last = block->alike ? 0 : block->count - 1; /* and it is done so in the lanes without a member */
    for (size_t i = 0; i <= last; i++) {
        block->lane[i].rule = step_of(block, i);
        put_numbers(block, i, i == last ? block->plan->group : i + 1);
    }
    block->lanes.step.numbers = block->loaded.numbers;
    block->lanes.step.rule = first->rule;
    block->lanes.step.nesterov = first->nesterov;
}

void
bp_ready_block_steps(struct block *block, size_t count)
{
    block->lanes.step.plain = block->plan->plain;
    ready_factors(block, count);
    if (!block->plan->plain)
        ready_rule(block);
}
