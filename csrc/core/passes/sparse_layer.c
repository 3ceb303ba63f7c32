#include "sparse_layer.h"

#include <math.h>
#include <string.h>

#include "core/data/sparse.h"
#include "core/network/freedom.h"
#include "lazy.h"

/* Before the next batch is grouped: every column is one of zeros again. */
static void
forget_groups(const struct bp_pass *pass, struct bp_nonzeros *nz)
{
    for (size_t i = pass->me; i < nz->threads; i += pass->threads) {
        struct bp_groups_of_thread *own = &nz->of_thread[i];
        for (size_t g = 0; g < own->count; g++)
            nz->group_of[nz->groups[own->first + g].k] = 0;
        own->count = 0;
    }
}

void
bp_load_nonzeros(const struct bp_pass *pass, const struct bp_array *x, struct bp_rows rows)
{
    const struct bp_network *net = pass->net;
    struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;
    const struct bp_rows own = bp_own_rows(pass);
    size_t at = 0;

    if (nz->room.grouped)
        forget_groups(pass, nz);
    for (size_t n = 0; n < own.first + own.count; n++) {
        size_t first, end;
        bp_row_of_nonzeros(x, rows.order ? rows.order[rows.first + n] : rows.first + n, &first, &end);
        /* never more than there is room for, should the user write to them meanwhile */
        const size_t left = nz->room.count - at, count = end - first < left ? end - first : left;
        if (n >= own.first) {
            nz->begins[n] = at;
            bp_columns_of_nonzeros(x, first, count, nz->k + at);
            bp_values_of_nonzeros(net, x, first, count, bp_at(net, nz->values, at));
        }
        at += count;
    }
    if (own.count > 0 && own.first + own.count == pass->rows)
        nz->begins[pass->rows] = at;
}

/* The non-zeros of threads before this one, all of whose columns come first. */
static size_t
count_of_others(const struct bp_pass *pass, const struct bp_nonzeros *nz, size_t count)
{
    const uint32_t threads = (uint32_t)pass->threads, me = (uint32_t)pass->me;
    size_t others = 0;

    for (size_t i = 0; me > 0 && i < count; i++)
        others += nz->k[i] % threads < me;
    return others;
}

void
bp_group_nonzeros(const struct bp_pass *pass)
{
    struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;
    if (nz->of_thread[pass->me].count > 0) /* this batch's have been sorted */
        return;
    const size_t count = nz->begins[pass->rows], size = pass->net->kernels->size;
    const uint32_t threads = (uint32_t)pass->threads, me = (uint32_t)pass->me;
    const size_t before = count_of_others(pass, nz, count);
    struct bp_group *groups = nz->groups + before;
    size_t found = 0, at = before;

    for (size_t i = 0; i < count; i++) {
        const uint32_t k = nz->k[i];
        if (threads > 1 && k % threads != me)
            continue;
        if (nz->group_of[k] == 0) {
            groups[found] = (struct bp_group){.k = k};
            nz->group_of[k] = (uint32_t)(before + ++found);
        }
        nz->groups[nz->group_of[k] - 1].count++;
    }
    for (size_t g = 0; g < found; g++) {
        groups[g].first = at;
        at += groups[g].count;
        groups[g].count = 0;
    }
    for (size_t n = 0; n < pass->rows; n++)
        for (size_t i = nz->begins[n]; i < nz->begins[n + 1]; i++) {
            if (threads > 1 && nz->k[i] % threads != me)
                continue;
            struct bp_group *group = &nz->groups[nz->group_of[nz->k[i]] - 1];
            const size_t to = group->first + group->count++;
            nz->sorted_rows[to] = (uint32_t)n;
            if (size == sizeof(float))
                ((float *)nz->sorted_values)[to] = ((const float *)nz->values)[i];
            else
                ((double *)nz->sorted_values)[to] = ((const double *)nz->values)[i];
        }
    nz->of_thread[me] = (struct bp_groups_of_thread){before, found};
    if (me == 0)
        nz->threads = threads;
}

void
bp_sparse_sums(const struct bp_pass *pass, struct bp_weights weights, size_t first, size_t last,
               struct bp_rows rows, bp_real *z, size_t z_stride)
{
    const struct bp_network *net = pass->net;
    const struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;
    const size_t panel = net->kernels->panel;

    net->kernels->sparse_product(&(struct bp_sparse_product){
        .rows = rows.count,
        .columns = bp_end_of(net, last, net->layers[0].outputs) - first * panel,
        .begins = nz->begins + rows.first,
        .k = nz->k,
        .values = nz->values,
        .b = bp_at(net, weights.w, first * weights.stride),
        .b_row = weights.row,
        .b_stride = weights.stride,
        .c = z,
        .c_stride = z_stride,
        .start = weights.bias ? bp_at(net, weights.bias, first * panel) : NULL,
    });
}

void
bp_sparse_gradient(const struct bp_pass *pass, const bp_real *delta, struct bp_weights c, bool add)
{
    const struct bp_network *net = pass->net;
    const struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;
    const struct bp_groups_of_thread *own = &nz->of_thread[pass->me];
    struct bp_sparse_outer outer = bp_sums_of_columns(pass, delta, nz->groups + own->first, own->count, c);

    outer.add = add;
    net->kernels->sparse_outer(&outer);
    for (size_t g = 0; net->layers[0].freedom.mask && g < own->count; g++) {
        const size_t k = nz->groups[own->first + g].k;
        const struct bp_weights of_k = {bp_at(net, c.w, k * c.row), c.row, c.stride, NULL};
        bp_mask_part(net, 0, k, 1, 0, outer.columns, of_k);
    }
}

void
bp_sparse_gradient_of_row(const struct bp_pass *pass, size_t n, struct bp_weights c)
{
    enum { TOGETHER = 64 };
    static const uint32_t same_row[TOGETHER];
    const struct bp_network *net = pass->net;
    const struct bp_nonzeros *nz = pass->ws->scratch.nonzeros;
    const size_t end = nz->begins[n + 1];
    const bp_real *delta = bp_at(net, pass->ws->nodes[0].delta, n * net->kernels->panel);
    struct bp_group groups[TOGETHER];

    for (size_t i = nz->begins[n]; i < end; i += TOGETHER) {
        const size_t count = end - i < TOGETHER ? end - i : TOGETHER;
        for (size_t g = 0; g < count; g++)
            groups[g] = (struct bp_group){.k = nz->k[i + g], .count = 1, .first = g};
        struct bp_sparse_outer outer = bp_sums_of_columns(pass, delta, groups, count, c);
        outer.rows = same_row;
        outer.block_rows = 0;
        outer.values = bp_const_at(net, nz->values, i);
        net->kernels->sparse_outer(&outer);
    }
}

/* The groups of columns k ... k + rows - 1; how many. */
static size_t
groups_between(const struct bp_nonzeros *nz, size_t k, size_t rows, struct bp_group *groups)
{
    size_t count = 0;

    for (size_t r = 0; r < rows; r++)
        if (nz->group_of[k + r] > 0)
            groups[count++] = nz->groups[nz->group_of[k + r] - 1];
    return count;
}

/* gradient = Σ, zeros too, of inputs k ... k + rows - 1 */
static void
store_rows(const struct bp_pass *pass, size_t k, size_t rows, struct bp_vector gradient)
{
    const struct bp_network *net = pass->net;
    struct bp_weights c = bp_layer_weights(net, 0, gradient);
    const size_t panels = bp_panels(net, net->layers[0].outputs), panel = net->kernels->panel;
    struct bp_group groups[BP_GRADIENT_ROWS];
    const size_t count = groups_between(pass->ws->scratch.nonzeros, k, rows, groups);

    c.w = bp_at(net, c.w, k * c.row);
    if (gradient.packed)
        for (size_t q = 0; q < panels; q++)
            memset(bp_at(net, c.w, q * c.stride), 0, rows * panel * net->kernels->size);
    else
        memset(c.w, 0, rows * c.row * net->kernels->size);
    struct bp_sparse_outer outer = bp_sums_of_columns(pass, pass->ws->nodes[0].delta, groups, count, c);
    outer.k_first = k;
    net->kernels->sparse_outer(&outer);
    bp_mask_part(net, 0, k, rows, 0, outer.columns, c);
}

/* This thread's share of all inputs, whether they occur or not. */
static void
update_every_row(const struct bp_pass *pass, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const size_t inputs = net->layers[0].inputs;
    struct bp_sparse_chunk chunk = bp_sparse_chunk_of(pass);
    struct bp_group groups[BP_GRADIENT_ROWS];
    size_t first, last;

    bp_share(bp_panels(net, inputs), pass->threads, pass->me, &first, &last);
    const size_t end = bp_end_of(net, last, inputs);
    for (size_t k = first * net->kernels->panel; k < end; k += chunk.most) {
        const size_t rows = end - k < chunk.most ? end - k : chunk.most;
        if (update->what == BP_STORE) {
            store_rows(pass, k, rows, update->gradient);
            continue;
        }
        for (size_t r = 0; r < rows; r++)
            chunk.k[r] = k + r;
        chunk.count = rows;
        const size_t count = groups_between(pass->ws->scratch.nonzeros, k, rows, groups);
        bp_optimize_sparse_chunk(pass, &chunk, groups, count, update);
    }
}

/* This thread's share of W */
static void
update_weights(const struct bp_pass *pass, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    const bp_real *delta = pass->ws->nodes[0].delta;

    if (update->what == BP_DESCEND)
        bp_sparse_gradient(pass, delta, bp_layer_weights(net, 0, pass->parameters), true);
    else if (update->what == BP_STORE && (update->add || update->zeros))
        bp_sparse_gradient(pass, delta, bp_layer_weights(net, 0, update->gradient), update->add);
    else if (update->what == BP_OPTIMIZE && update->lazy)
        bp_update_columns(pass, update);
    else
        update_every_row(pass, update);
}

void
bp_sparse_update(const struct bp_pass *pass, const struct bp_update *update)
{
    const struct bp_network *net = pass->net;
    size_t first, last;

    if (!(update->moving && net->layers[0].freedom.rate == 0))
        update_weights(pass, update);
    bp_share(bp_panels(net, net->layers[0].outputs), pass->threads, pass->me, &first, &last);
    bp_update_bias(pass, 0, first, last, update);
}
