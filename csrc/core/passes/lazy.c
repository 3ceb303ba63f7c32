#include "lazy.h"

#include <math.h>
#include <string.h>

#include "whole_gradient.h"

struct bp_sparse_outer
bp_sums_of_columns(const struct bp_pass *pass, const bp_real *delta, const struct bp_group *groups,
        size_t count, struct bp_weights c)
{
    const struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;

    return (struct bp_sparse_outer){
        .count = count,
        .columns = pass->net->layers[0].outputs,
        .groups = groups,
        .rows = nz->sorted_rows,
        .values = nz->sorted_values,
        .delta = delta,
        .delta_stride = pass->ws->stride,
        .c = c.w,
        .c_row = c.row,
        .c_stride = c.stride,
        .one = pass->rows == 1,
        .block_rows = pass->sums.block,
        .group_rows = pass->sums.group,
    };
}

struct bp_sparse_chunk
bp_sparse_chunk_of(const struct bp_pass *pass)
{
    enum { PANELS = BP_GRADIENT_ROWS * BP_GRADIENT_PANELS, FEWEST_ROWS = 4 };
    const size_t all = bp_panels(pass->net, pass->net->layers[0].outputs);
    const size_t panels = all < PANELS / FEWEST_ROWS ? all : PANELS / FEWEST_ROWS;
    const size_t rows = PANELS / panels;

    return (struct bp_sparse_chunk){
        .numbers = bp_gradient_chunk_of(pass, 0),
        .columns = panels * pass->net->kernels->panel,
        .most = rows < BP_GRADIENT_ROWS ? rows : BP_GRADIENT_ROWS,
    };
}

void
bp_optimize_sparse_chunk(const struct bp_pass *pass, const struct bp_sparse_chunk *chunk,
                         const struct bp_group *groups, size_t count,
                         const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel, outputs = net->layers[0].outputs;
    const bool every = count == chunk->count;

    for (size_t j = 0; j < outputs; j += chunk->columns) {
        const bp_real *delta = bp_at(net, pass->ws->nodes[0].delta, j / panel * pass->ws->stride);
        struct bp_sparse_outer outer =
            bp_sums_of_columns(pass, delta, groups, count,
                               (struct bp_weights){chunk->numbers, chunk->columns, panel, NULL});
        const size_t left = outputs - j;
        outer.columns = left < chunk->columns ? left : chunk->columns;
        outer.tight = every;
        outer.k_first = chunk->k[0];
        if (!every)
            memset(chunk->numbers, 0, chunk->count * chunk->columns * net->kernels->size);
        net->kernels->sparse_outer(&outer);
        bp_optimize_rows(pass,
                         &(struct bp_gradient_rows){
                             .first = j,
                             .columns = outer.columns,
                             .count = chunk->count,
                             .k = chunk->k,
                             .numbers = chunk->numbers,
                             .row = chunk->columns,
                         },
                         update);
    }
}

/* The rule as it is for columns that occur only: Adam's epsilon is added to √v as it is, and not to
 * √v / √c_2, as torch.optim.SparseAdam does. */
static struct bp_optimizer_step
lazy_rule(const struct bp_optimizer_step *rule)
{
    struct bp_optimizer_step lazy = *rule;

    lazy.epsilon /= sqrt(rule->correction_2); /* which is 1 for other rules */
    return lazy;
}

void
bp_update_columns(const struct bp_pass *pass, const struct bp_update *update)
{
    const struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;
    const struct bp_groups_of_thread *own = &nz->of_thread[pass->me];
    const struct bp_optimizer_step rule = lazy_rule(update->rule);
    struct bp_update lazy = *update;
    struct bp_sparse_chunk chunk = bp_sparse_chunk_of(pass);

    lazy.rule = &rule;
    for (size_t g = 0; g < own->count; g += chunk.most) {
        const size_t more = own->count - g, count = more < chunk.most ? more : chunk.most;
        const struct bp_group *groups = nz->groups + own->first + g;
        for (size_t i = 0; i < count; i++)
            chunk.k[i] = groups[i].k;
        chunk.count = count;
        bp_optimize_sparse_chunk(pass, &chunk, groups, count, &lazy);
    }
}

void
bp_optimize_columns(const struct bp_pass *pass, const struct bp_optimizer_step *rule,
                   struct bp_vector gradient, bp_real *const state[BP_STATES])
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[0];
    const struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;
    const struct bp_groups_of_thread *own = &nz->of_thread[pass->me];
    const size_t panel = net->kernels->panel;
    const size_t width = gradient.packed ? panel : layer->outputs;
    const size_t weights = gradient.packed ? layer->packed_weights_at : layer->weights_at;
    const struct bp_optimizer_step lazy = lazy_rule(rule);
    const size_t rest = gradient.packed ? layer->packed_bias_at : layer->bias_at;

    for (size_t g = 0; g < own->count; g++)
        for (size_t j = 0, q = 0; j < layer->outputs; j += width, q++) {
            const size_t k = nz->groups[own->first + g].k;
            const size_t at = weights + q * layer->packed_stride + k * width;
            bp_optimize(net, &lazy, pass->parameters, state, at, width,
                        bp_const_at(net, gradient.numbers, at));
        }
    bp_optimize_share_from(pass, rest, rule, gradient, state);
}
