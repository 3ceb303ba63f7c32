/* sums.h: Σ_n over the rows of a batch, as pass.sums says that it associates. Depends on pass.h. */
#ifndef BP_SUMS_H
#define BP_SUMS_H

#include "pass.h"

/* What a batch's losses add up to: Σ w_n C_0, Σ w_n, and how many samples' classes are right. */
struct bp_loss_sums {
    double loss, weight;
    size_t right;
};

static inline void
bp_add_loss_sums(struct bp_loss_sums *sums, const struct bp_loss_sums *more)
{
    sums->loss += more->loss;
    sums->weight += more->weight;
    sums->right += more->right;
}

/* Adds those of `rows`, which are in ws, to *sums: as pass.sums says, or, where all is one block,
 * each weight to what is there. */
void
bp_sum_losses(const struct bp_pass *, const struct bp_workspace *ws, const struct bp_data *,
              struct bp_rows rows, struct bp_loss_sums *sums);

/* outer->c, which lies in panels, = Σ_n a[n][k] delta[n][j]. `spare`: as large as outer->c, twice;
 * pads of both come out as they went in, or as numbers. */
void
bp_sum_outer_in_groups(const struct bp_pass *, const struct bp_outer *, bp_real *const spare[2]);

static inline void
bp_sum_outer(const struct bp_pass *pass, const struct bp_outer *outer, bp_real *const spare[2])
{
    if (pass->sums.block == 0)
        pass->net->kernels->outer(outer);
    else
        bp_sum_outer_in_groups(pass, outer, spare);
}

/* sum[j] = Σ_n m[n][j], or += with `add`; m in panels of `stride`. */
void
bp_sum_columns_in_groups(const struct bp_pass *, size_t columns, const bp_real *m, size_t stride,
                         bool add, bp_real *sum);

static inline void
bp_sum_columns(const struct bp_pass *pass, size_t columns, const bp_real *m, size_t stride,
               bool add, bp_real *sum)
{
    if (pass->sums.block == 0)
        pass->net->kernels->column_sums(pass->rows, columns, m, stride, add, sum);
    else
        bp_sum_columns_in_groups(pass, columns, m, stride, add, sum);
}

/* to[k][j] = from[k][j], or += with `add`, where `from` lies in panels, and `to` as outer.c may. */
void
bp_put(const struct bp_network *, size_t rows, size_t columns, const bp_real *from,
       size_t from_stride, bool add, bp_real *to, size_t to_row, size_t to_stride);

#endif
