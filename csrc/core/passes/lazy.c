#include "lazy.h"

#include <math.h>

#include "core/network/freedom.h"

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

/* The rule as it is for columns that occur only: Adam's epsilon is added to √v as it is, and not to
 * √v / √c_2, as torch.optim.SparseAdam does. */
static struct bp_optimizer_step
lazy_rule(const struct bp_optimizer_step *rule)
{
    struct bp_optimizer_step lazy = *rule;

    lazy.epsilon /= sqrt(rule->correction_2); /* which is 1 for other rules */
    return lazy;
}

/* The rule on the weights of these columns in panels [q, q + columns / P), whose gradient is in
 * chunk: a row for each. */
static void
optimize_columns(const struct bp_pass *pass, const struct bp_group *groups, size_t count, size_t q,
                 size_t columns, struct bp_weights chunk, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[0];
    const size_t panel = net->kernels->panel;
    size_t at[BP_GRADIENT_ROWS];

    for (size_t i = 0; i < bp_panels(net, columns); i++) {
        const size_t first = layer->packed_weights_at + (q + i) * layer->packed_stride;
        const size_t left = columns - i * panel;
        bp_real *gradient = bp_at(net, chunk.w, i * chunk.stride);
        for (size_t g = 0; g < count; g++) {
            const size_t k = groups[g].k, width = left < panel ? left : panel;
            bp_real *row = bp_at(net, gradient, g * panel);
            at[g] = first + k * panel;
            bp_mask_part(net, 0, k, 1, (q + i) * panel, width,
                         (struct bp_weights){row, panel, panel, NULL});
            if ((layer->l1 != 0 || layer->l2 != 0) && layer->freedom.rate != 0)
                net->kernels->penalize(1, width, layer->l1, layer->l2,
                                       bp_at(net, pass->parameters.numbers, at[g]), panel, row,
                                       panel);
            if (net->restraint.rated)
                bp_optimize(net, update->rule, pass->parameters, update->state, at[g], panel, row);
        }
        if (!net->restraint.rated)
            net->kernels->optimize_rows(update->rule, count, at, pass->parameters.numbers, gradient,
                                        update->state);
    }
}

void
bp_update_columns(const struct bp_pass *pass, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;
    const struct bp_groups_of_thread *own = &nz->of_thread[pass->me];
    const size_t panel = net->kernels->panel, outputs = net->layers[0].outputs;
    const struct bp_weights chunk = {
        .w = bp_gradient_chunk_of(pass, 0),
        .row = panel,
        .stride = BP_GRADIENT_ROWS * panel,
    };
    const struct bp_optimizer_step rule = lazy_rule(update->rule);
    struct bp_update lazy = *update;

    lazy.rule = &rule;
    for (size_t g = 0; g < own->count; g += BP_GRADIENT_ROWS) {
        const size_t more = own->count - g;
        const size_t count = more < BP_GRADIENT_ROWS ? more : BP_GRADIENT_ROWS;
        const struct bp_group *groups = nz->groups + own->first + g;
        for (size_t q = 0; q < bp_panels(net, outputs); q += BP_GRADIENT_PANELS) {
            const size_t left = outputs - q * panel, most = BP_GRADIENT_PANELS * panel;
            const bp_real *delta = bp_at(net, pass->ws->nodes[0].delta, q * pass->ws->stride);
            struct bp_sparse_outer outer = bp_sums_of_columns(pass, delta, groups, count, chunk);
            outer.columns = left < most ? left : most;
            outer.tight = true;
            net->kernels->sparse_outer(&outer);
            optimize_columns(pass, groups, count, q, outer.columns, chunk, &lazy);
        }
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
    const size_t all = gradient.packed ? net->packed : net->parameters;
    size_t first, last;

    for (size_t g = 0; g < own->count; g++)
        for (size_t j = 0, q = 0; j < layer->outputs; j += width, q++) {
            const size_t k = nz->groups[own->first + g].k;
            const size_t at = weights + q * layer->packed_stride + k * width;
            bp_optimize(net, &lazy, pass->parameters, state, at, width,
                        bp_const_at(net, gradient.numbers, at));
        }
    bp_share((all - rest + panel - 1) / panel, pass->threads, pass->me, &first, &last);
    const size_t begin = rest + first * panel;
    size_t count = (last - first) * panel;
    count = begin + count > all ? all - begin : count;
    bp_optimize(net, rule, pass->parameters, state, begin, count,
                bp_const_at(net, gradient.numbers, begin));
}
