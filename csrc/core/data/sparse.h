/* sparse.h: the non-zeros of sparse samples, as they lie with the user. Depends on arrays.h. */
#ifndef BP_DATA_SPARSE_H
#define BP_DATA_SPARSE_H

#include "arrays.h"

/* Row n's non-zeros: first <= i < end. Never past the last of all, whatever was written to `begins`
 * since it was checked. */
void
bp_row_of_nonzeros(const struct bp_array *x, size_t n, size_t *first, size_t *end);

/* k[i] = the column of non-zero first + i, i < count; never past the last column. */
void
bp_columns_of_nonzeros(const struct bp_array *x, size_t first, size_t count, uint32_t *k);

/* values[i] = non-zero first + i, in the network's precision, i < count */
void
bp_values_of_nonzeros(const struct bp_network *, const struct bp_array *x, size_t first,
                      size_t count, bp_real *values);

/* No `rows` rows have more non-zeros than this. */
size_t
bp_most_nonzeros(const struct bp_array *x, size_t rows);

/* What is wrong with a matrix's arrays: nothing, begins that fall or leave the non-zeros out, a
 * column that does not exist, or columns of a row that do not rise. *row is the first such row. */
enum bp_csr_fault { BP_CSR_GOOD, BP_CSR_BEGINS, BP_CSR_COLUMN, BP_CSR_ORDER };
enum bp_csr_fault
bp_check_nonzeros(const struct bp_array *x, size_t *row);

#endif
