#include "sparse.h"

#include <string.h>

/* a number of begins or k, at any alignment */
static int64_t
index_at(const void *indices, bool wide, size_t i)
{
    int64_t far;
    int32_t near;

    if (wide) {
        memcpy(&far, (const char *)indices + i * sizeof(far), sizeof(far));
        return far;
    }
    memcpy(&near, (const char *)indices + i * sizeof(near), sizeof(near));
    return near;
}

static int64_t
begin_of(const struct bp_csr *csr, size_t n)
{
    return index_at(csr->begins, csr->wide_begins, n);
}

void
bp_row_of_nonzeros(const struct bp_array *x, size_t n, size_t *first, size_t *end)
{
    const int64_t begins = begin_of(&x->csr, n), ends = begin_of(&x->csr, n + 1);
    const bool good = begins >= 0 && begins <= ends && (uint64_t)ends <= x->csr.count;

    *first = good ? (size_t)begins : 0;
    *end = good ? (size_t)ends : 0;
}

void
bp_columns_of_nonzeros(const struct bp_array *x, size_t first, size_t count, uint32_t *k)
{
    const uint32_t last = (uint32_t)(x->columns - 1);

    if (x->csr.wide_k)
        for (size_t i = 0; i < count; i++) {
            const uint64_t column = (uint64_t)index_at(x->csr.k, true, first + i);
            k[i] = column < last ? (uint32_t)column : last;
        }
    else
        for (size_t i = 0; i < count; i++) {
            const uint32_t column = (uint32_t)index_at(x->csr.k, false, first + i);
            k[i] = column < last ? column : last;
        }
}

void
bp_values_of_nonzeros(const struct bp_network *net, const struct bp_array *x, size_t first,
                      size_t count, bp_real *values)
{
    const struct bp_array row = {
        .data = x->data + (ptrdiff_t)first * x->column_stride,
        .column_stride = x->column_stride,
        .rows = 1,
        .columns = count,
        .type = x->type,
        .swapped = x->swapped,
    };
    bp_gather(net, &row, &(struct bp_rows){NULL, 0, 1}, values, net->kernels->panel);
}

size_t
bp_most_nonzeros(const struct bp_array *x, size_t rows)
{
    size_t longest = 0;

    if (rows >= x->rows)
        return x->csr.count;
    for (size_t n = 0; n < x->rows; n++) {
        size_t first, end;
        bp_row_of_nonzeros(x, n, &first, &end);
        if (end - first > longest)
            longest = end - first;
    }
    return longest > x->csr.count / rows ? x->csr.count : longest * rows;
}

/* Whether the columns of one row exist and rise. */
static enum bp_csr_fault
check_row(const struct bp_array *x, size_t first, size_t end)
{
    enum bp_csr_fault fault = BP_CSR_GOOD;
    int64_t last = -1;

    for (size_t i = first; i < end; i++) {
        const int64_t k = index_at(x->csr.k, x->csr.wide_k, i);
        if (k < 0 || (uint64_t)k >= x->columns)
            return BP_CSR_COLUMN;
        if (k <= last)
            fault = BP_CSR_ORDER;
        last = k;
    }
    return fault;
}

enum bp_csr_fault
bp_check_nonzeros(const struct bp_array *x, size_t *row)
{
    const struct bp_csr *csr = &x->csr;
    enum bp_csr_fault fault = BP_CSR_GOOD;

    *row = 0;
    if (begin_of(csr, 0) != 0)
        return BP_CSR_BEGINS;
    for (size_t n = 0; n < x->rows; n++) {
        const int64_t first = begin_of(csr, n), end = begin_of(csr, n + 1);
        if (end < first || (uint64_t)end > csr->count) {
            *row = n;
            return BP_CSR_BEGINS;
        }
        const enum bp_csr_fault found = check_row(x, (size_t)first, (size_t)end);
        if (found != BP_CSR_GOOD) {
            *row = n;
            fault = found;
        }
        if (fault == BP_CSR_COLUMN)
            return fault;
    }
    return fault;
}
