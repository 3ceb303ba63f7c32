/* sums.h: Σ_n over the rows of a batch, as pass.sums says that it associates. Depends on pass.h. */
#ifndef BP_SUMS_H
#define BP_SUMS_H

#include "pass.h"

/* outer->c, which lies in panels, = Σ_n a[n][k] delta[n][j]. `spare`: as large as outer->c, twice;
 * pads of both come out as they went in, or as numbers. */
void
bp_sum_outer(const struct bp_pass *, const struct bp_outer *, bp_real *const spare[2]);

/* sum[j] = Σ_n m[n][j], or += with `add`; m in panels of `stride`. */
void
bp_sum_columns(const struct bp_pass *, size_t columns, const bp_real *m, size_t stride, bool add,
               bp_real *sum);

/* to[k][j] = from[k][j], or += with `add`, where `from` lies in panels, and `to` as outer.c may. */
void
bp_put(const struct bp_network *, size_t rows, size_t columns, const bp_real *from,
       size_t from_stride, bool add, bp_real *to, size_t to_row, size_t to_stride);

#endif
