#include "sums.h"

#include <string.h>

#include "core/base/sizes.h"

/* sum += term, `rows` rows of the panels that hold `columns` columns, both `stride` apart */
static void
add_panels(const struct bp_network *net, size_t rows, size_t columns, size_t stride, bp_real *sum,
           const bp_real *term)
{
    for (size_t q = 0; q < bp_panels(net, columns); q++)
        net->kernels->add(rows * net->kernels->panel, bp_at(net, sum, q * stride),
                          bp_const_at(net, term, q * stride), bp_at(net, sum, q * stride));
}

static void
clear_panels(const struct bp_network *net, size_t rows, size_t columns, size_t stride, bp_real *sum)
{
    for (size_t q = 0; q < bp_panels(net, columns); q++)
        memset(bp_at(net, sum, q * stride), 0, rows * BP_PANEL_BYTES);
}

/* Calls term(context, first row, rows) for each block, which leaves the block's sum in `block`;
 * their sum, group by group, is in `sum` when it returns. All lie as `outer` says. */
static void
add_groups(const struct bp_pass *pass, const struct bp_outer *outer, bp_real *group, bp_real *block,
           void (*term)(const struct bp_pass *, const struct bp_outer *, size_t n, size_t rows,
                        bp_real *block))
{
    const struct bp_network *net = pass->net;
    const size_t rows = outer->rows, columns = outer->columns, stride = outer->c_stride;

    clear_panels(net, rows, columns, stride, outer->c);
    for (size_t n = 0; n < pass->rows;) {
        const size_t end = pass->rows - n < pass->sums.group ? pass->rows : n + pass->sums.group;

        clear_panels(net, rows, columns, stride, group);
        for (size_t left = end - n; left > 0; left = end - n) {
            const size_t own = left < pass->sums.block ? left : pass->sums.block;
            term(pass, outer, n, own, block);
            add_panels(net, rows, columns, stride, group, block);
            n += own;
        }
        add_panels(net, rows, columns, stride, outer->c, group);
    }
}

static void
outer_of_block(const struct bp_pass *pass, const struct bp_outer *outer, size_t n, size_t rows,
               bp_real *block)
{
    const struct bp_network *net = pass->net;
    struct bp_outer part = *outer;

    part.depth = rows;
    part.a = bp_const_at(net, outer->a, n * net->kernels->panel);
    part.delta = bp_const_at(net, outer->delta, n * net->kernels->panel);
    part.c = block;
    part.ahead = n == 0 ? outer->ahead : NULL;
    net->kernels->outer(&part);
}

void
bp_sum_outer_in_groups(const struct bp_pass *pass, const struct bp_outer *outer,
                       bp_real *const spare[2])
{
    add_groups(pass, outer, spare[0], spare[1], outer_of_block);
}

static void
columns_of_block(const struct bp_pass *pass, const struct bp_outer *outer, size_t n, size_t rows,
                 bp_real *block)
{
    const struct bp_network *net = pass->net;
    const bp_real *from = bp_const_at(net, outer->delta, n * net->kernels->panel);

    net->kernels->column_sums(rows, outer->columns, from, outer->delta_stride, false, block);
}

void
bp_sum_columns_in_groups(const struct bp_pass *pass, size_t columns, const bp_real *m,
                         size_t stride, bool add, bp_real *sum)
{
    enum { PANELS = 4 }; /* at a time */
    const struct bp_network *net = pass->net;
    _Alignas(64) char sums[3][PANELS * BP_PANEL_BYTES] = {{0}};
    const size_t panel = net->kernels->panel, most = PANELS * panel;

    for (size_t j = 0; j < columns; j += most) {
        struct bp_outer outer = {
            .rows = 1,
            .columns = columns - j < most ? columns - j : most,
            .delta = bp_const_at(net, m, j / panel * stride),
            .delta_stride = stride,
            .c = sums[0],
            .c_stride = panel,
        };
        add_groups(pass, &outer, sums[1], sums[2], columns_of_block);
        bp_put(net, 1, outer.columns, sums[0], panel, add, bp_at(net, sum, j), outer.columns, panel);
    }
}

void
bp_put(const struct bp_network *net, size_t rows, size_t columns, const bp_real *from,
       size_t from_stride, bool add, bp_real *to, size_t to_row, size_t to_stride)
{
    const size_t panel = net->kernels->panel, size = net->kernels->size;

    for (size_t j = 0, q = 0; j < columns; j += panel, q++) {
        const size_t width = columns - j < panel ? columns - j : panel;
        for (size_t r = 0; r < rows; r++) {
            const bp_real *term = bp_const_at(net, from, q * from_stride + r * panel);
            bp_real *at = bp_at(net, to, q * to_stride + r * to_row);
            _Alignas(64) char row[BP_PANEL_BYTES] = {0};
            if (add) {
                memcpy(row, at, width * size);
                net->kernels->add(panel, row, term, row);
                term = row;
            }
            memcpy(at, term, width * size);
        }
    }
}

/* of rows n ... end - 1, to *sums */
static void
add_block(const struct bp_workspace *ws, const struct bp_data *data, struct bp_rows rows, size_t n,
          size_t end, struct bp_loss_sums *sums)
{
    double loss = 0;

    for (; n < end; n++) {
        const double weight = bp_weight_of(data, rows, n);
        loss += weight * ws->losses[n];
        sums->weight += weight;
        sums->right += ws->classes[n] == ws->wanted[n];
    }
    sums->loss += loss;
}

void
bp_sum_losses(const struct bp_pass *pass, const struct bp_workspace *ws, const struct bp_data *data,
              struct bp_rows rows, struct bp_loss_sums *sums)
{
    const struct bp_grouping by = pass->sums;
    struct bp_loss_sums all = {0};

    if (by.block == 0) {
        add_block(ws, data, rows, 0, rows.count, sums);
        return;
    }
    for (size_t n = 0; n < rows.count;) {
        const size_t end = bp_smaller(rows.count, n + by.group);
        struct bp_loss_sums group = {0};
        for (; n < end; n += by.block) {
            struct bp_loss_sums block = {0};
            add_block(ws, data, rows, n, bp_smaller(end, n + by.block), &block);
            bp_add_loss_sums(&group, &block);
        }
        n = end;
        bp_add_loss_sums(&all, &group);
    }
    bp_add_loss_sums(sums, &all);
}
