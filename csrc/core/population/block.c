#include "block.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"

/* Buffers are laid out in one block of memory: first with NULL, which only adds up the size. */
struct layout {
    char *memory;
    size_t used;
    bool overflow;
};

static void *
take(struct layout *layout, size_t count, size_t size)
{
    const size_t bytes = bp_size_product(count, size);
    void *at = layout->memory ? layout->memory + layout->used : NULL;

    if (bytes > SIZE_MAX / 4 || layout->used > SIZE_MAX / 4)
        layout->overflow = true;
    else
        layout->used += (bytes + 63) / 64 * 64;
    return at;
}

static bp_real *
take_numbers(struct layout *layout, const struct block *block, size_t count)
{
    return take(layout, bp_size_product(count, block->plan->group),
                block->population->net->kernels->size);
}

static void
lay_out_layers(struct block *block, struct layout *layout)
{
    const struct bp_network *net = block->population->net;
    struct bp_block_layer *layers = take(layout, net->count, sizeof(*layers));
    size_t at = 0;

    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const size_t row = bp_padded(layer->outputs), nodes = block->plan->rows * row;
        struct bp_block_layer own = {
            .inputs = layer->inputs,
            .outputs = layer->outputs,
            .row = row,
            .activation = layer->activation,
            .weights_at = at,
            .bias_at = at + layer->inputs * row,
            .bias = layer->bias,
            .z = take_numbers(layout, block, nodes),
        };
        const bool keeps_z = bp_derivative_needs_z(layer->activation) || l + 1 == net->count;
        own.a = keeps_z ? take_numbers(layout, block, nodes) : own.z;
        own.delta = take_numbers(layout, block, nodes);
        own.penalties = block->population->penalties || net->penalized ? take_numbers(layout, block, 2) : NULL;
        at = own.bias_at + (layer->bias ? row : 0);
        if (layers)
            layers[l] = own;
    }
    block->lanes.layers = layers;
}

static void
lay_out(struct block *block, struct layout *layout)
{
    enum { SCRATCH_ROWS = 4, /* of W: kernels/bodies/population.inc */
           FEW_SAMPLES = 64 };
    const struct bp_population *p = block->population;
    const struct bp_network *net = p->net;
    const struct block_plan *plan = block->plan;
    const size_t size = net->kernels->size, panel = net->kernels->panel;
    const size_t inputs = net->layers[0].inputs, outputs = net->layers[net->count - 1].outputs;
    const size_t panels = bp_panels(net, bp_larger(inputs, outputs));
    struct loaded *loaded = &block->loaded;

    block->lane = take(layout, plan->group, sizeof(*block->lane));
    lay_out_layers(block, layout);
    block->lanes.parameters = take_numbers(layout, block, plan->nodes);
    block->good.parameters = take_numbers(layout, block, plan->nodes);
    for (size_t s = 0; s < BP_STATES && p->members.state[s] && !plan->plain; s++) {
        block->lanes.state[s] = take_numbers(layout, block, plan->nodes);
        block->good.state[s] = take_numbers(layout, block, plan->nodes);
    }
    if (plan->part < plan->together)
        block->gradient = take_numbers(layout, block, plan->nodes);
    loaded->x = plan->roomy ? take_numbers(layout, block, plan->rows * inputs)
                            : take(layout, plan->rows * inputs, size);
    loaded->y = take_numbers(layout, block, plan->rows * outputs);
    loaded->panels = take(layout, plan->roomy ? plan->group : 1,
                          panels * LOADED_ROWS * panel * size);
    loaded->places = take(layout, plan->group, sizeof(*loaded->places));
    loaded->factors = take_numbers(layout, block, plan->rows);
    loaded->numbers = take_numbers(layout, block, BP_RULE_NUMBERS);
    loaded->weights = take(layout, plan->rows * plan->group, sizeof(*loaded->weights));
    block->sums.weight = take(layout, plan->group, sizeof(*block->sums.weight));
    block->lanes.sums.loss = take(layout, plan->group, sizeof(double));
    block->lanes.sums.step = take(layout, plan->group, sizeof(double));
    block->sums.right = take(layout, plan->group, sizeof(*block->sums.right));
    if (plan->samples <= FEW_SAMPLES)
        block->sums.parts = take(layout, plan->samples + 1, sizeof(*block->sums.parts));
    block->lanes.scratch = take(layout, bp_padded(net->widest) * SCRATCH_ROWS * plan->group + 4 * panel,
                                size);
    for (size_t i = 0; p->settings.shuffle && i < (p->random.one ? 1 : plan->group); i++) {
        uint32_t *order = take(layout, plan->samples, sizeof(*order));
        if (block->lane)
            block->lane[i].order = order;
    }
}

enum bp_status
bp_open_block(struct block *block, const struct bp_population *p, const struct block_plan *plan)
{
    struct layout layout = {0};

    *block = (struct block){
        .population = p,
        .plan = plan,
        .lanes = {.vectors = plan->vectors,
                  .count = p->net->count,
                  .loss = p->net->loss,
                  .fused = p->net->fused},
    };
    lay_out(block, &layout);
    if (layout.overflow)
        return BP_TOO_LARGE;
    block->memory = bp_allocate(1, layout.used);
    if (!block->memory)
        return BP_NO_MEMORY;
    layout = (struct layout){.memory = block->memory};
    lay_out(block, &layout);
    for (size_t n = 0; block->sums.parts && n <= plan->samples; n++)
        block->sums.parts[n] = (double)n / (double)plan->samples;
    return BP_OK;
}

void
bp_close_block(struct block *block)
{
    bp_free(block->memory);
    block->memory = NULL;
}

/* One row of W, or the bias, of all members: from storage order into the lanes, or from there, of
 * those that are `wanted`, into storage order. */
static void
move_row(const struct block *block, const bool *wanted, bp_real *members, bp_real *lanes,
         size_t stored, size_t node, size_t count)
{
    const struct bp_network *net = block->population->net;
    const size_t group = block->plan->group;
    bp_real *rows[BP_MOST_LANES];

    for (size_t i = 0; i < group; i++) {
        const size_t member = block->lane[i < block->count ? i : 0].member;
        const bool moves = i < block->count ? !wanted || wanted[i] : !wanted;
        rows[i] = moves ? bp_at(net, members, member * net->parameters + stored) : NULL;
    }
    if (wanted)
        net->kernels->separate(group, count, bp_at(net, lanes, node * group), rows);
    else
        net->kernels->interleave(group, count, (const bp_real *const *)rows,
                                 bp_at(net, lanes, node * group));
}

static void
move(const struct block *block, const bool *wanted, bp_real *members, bp_real *lanes)
{
    const struct bp_network *net = block->population->net;

    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_block_layer *own = &block->lanes.layers[l];
        for (size_t k = 0; k < layer->inputs; k++)
            move_row(block, wanted, members, lanes, layer->weights_at + k * layer->outputs,
                     own->weights_at + k * own->row, layer->outputs);
        if (layer->bias)
            move_row(block, wanted, members, lanes, layer->bias_at, own->bias_at, layer->outputs);
    }
}

void
bp_into_lanes(const struct block *block, const bp_real *members, bp_real *lanes)
{
    move(block, NULL, (bp_real *)members, lanes);
}

void
bp_out_of_lanes(const struct block *block, const bool *wanted, const bp_real *lanes,
                bp_real *members)
{
    move(block, wanted, members, (bp_real *)lanes);
}

bool
bp_lanes_are_alike(const struct block *block)
{
    const struct bp_population *p = block->population;
    const size_t first = block->lane[0].member;

    for (size_t i = 1; i < block->count; i++) {
        const size_t member = block->lane[i].member;
        if (p->members.steps[member] != p->members.steps[first] ||
            (p->numbers && memcmp(p->numbers + member * BP_MEMBER_NUMBERS,
                                  p->numbers + first * BP_MEMBER_NUMBERS,
                                  BP_MEMBER_NUMBERS * sizeof(double)) != 0))
            return false;
    }
    return !p->rates.own;
}

size_t
bp_leader_of(const struct block *block)
{
    for (size_t i = 0; i < block->count; i++)
        if (block->lane[i].alive)
            return i;
    return 0;
}

/* Whether every group-th number is finite, from `at` on, `count` of them. */
static bool
are_finite(const struct bp_network *net, const bp_real *numbers, size_t at, size_t group, size_t count)
{
    if (net->kernels->dtype == BP_FLOAT32) {
        for (size_t i = 0; i < count; i++)
            if (!isfinite(((const float *)numbers)[at + i * group]))
                return false;
    }
    else
        for (size_t i = 0; i < count; i++)
            if (!isfinite(((const double *)numbers)[at + i * group]))
                return false;
    return true;
}

bool
bp_lane_is_finite(const struct block *block, size_t i)
{
    const struct bp_network *net = block->population->net;
    const size_t group = block->plan->group;
    bool finite = true;

    for (size_t l = 0; l < net->count && finite; l++) {
        const struct bp_block_layer *layer = &block->lanes.layers[l];
        const size_t rows = layer->inputs + layer->bias; /* the bias lies behind the last row of W */
        for (size_t k = 0; k < rows && finite; k++)
            finite = are_finite(net, block->lanes.parameters, (layer->weights_at + k * layer->row) * group + i,
                                group, layer->outputs);
    }
    return finite;
}
