/* arrays.h: rows of an array of any number type, gathered into panels as they are used.
 * Depends on network/layout.h and libc. */
#ifndef BP_DATA_ARRAYS_H
#define BP_DATA_ARRAYS_H

#include "core/network/layout.h"

enum bp_number {
    BP_BOOL,
    BP_INT8,
    BP_INT16,
    BP_INT32,
    BP_INT64,
    BP_UINT8,
    BP_UINT16,
    BP_UINT32,
    BP_UINT64,
    BP_HALF,
    BP_FLOAT,
    BP_DOUBLE,
    BP_NUMBERS,
};

/* Compressed sparse rows: non-zeros begins[n] <= i < begins[n + 1] are row n's, and k[i] is the column
 * of one, rising within a row. Both of int32, or of int64. */
struct bp_csr {
    const void *begins, *k;
    bool wide_begins, wide_k; /* int64 */
    size_t count;             /* of non-zeros */
};

/* rows x columns numbers that belong to someone else, at any alignment; strides in bytes */
struct bp_array {
    const char *data;
    ptrdiff_t row_stride, column_stride;
    size_t rows, columns;
    enum bp_number type;
    bool swapped; /* the other byte order */
    /* where most are zeros: `data` are then the others, column_stride apart; without begins for none */
    struct bp_csr csr;
};

/* `count` rows of it from row `first` on */
static inline struct bp_array
bp_part_of(const struct bp_array *array, size_t first, size_t count)
{
    struct bp_array part = *array;

    part.rows = count;
    part.data += (ptrdiff_t)first * array->row_stride;
    if (array->csr.begins)
        part.csr.begins = (const char *)array->csr.begins +
                          first * (array->csr.wide_begins ? sizeof(int64_t) : sizeof(int32_t));
    return part;
}

static inline bool
bp_is_sparse(const struct bp_array *array)
{
    return array->csr.begins != NULL;
}

/* Whether rows of it are numbers of the network's type, aligned and side by side: kernels can read them. */
static inline bool
bp_is_plain_array(const struct bp_network *net, const struct bp_array *array)
{
    const enum bp_number type = net->kernels->dtype == BP_FLOAT32 ? BP_FLOAT : BP_DOUBLE;
    const ptrdiff_t size = (ptrdiff_t)net->kernels->size;
    return array->type == type && !array->swapped && (uintptr_t)array->data % (size_t)size == 0 &&
           array->row_stride % size == 0 && (array->columns == 1 || array->column_stride == size);
}

/* n samples. y has either bp_targets columns or, as labels, one of class indices, one for each output. */
struct bp_data {
    struct bp_array x, y;
    bool labels;
    bool derivatives;      /* y is dC_0/da of the outputs: no targets, and no loss is known */
    const double *weights; /* one per sample, or NULL for 1 each */
    struct bp_array mask;  /* of y's shape, 0 where a target is missing; without data for none */
};

/* Σ w_n */
double bp_sum_of_weights(const struct bp_data *);

/* Rows order[first], ..., or first, first + 1, ... where order is NULL, into panels. */
struct bp_rows {
    const uint32_t *order;
    size_t first, count;
};

/* w_n, the weight of row n of `rows` */
static inline double
bp_weight_of(const struct bp_data *data, struct bp_rows rows, size_t n)
{
    const size_t at = rows.first + n;
    return data->weights ? data->weights[rows.order ? rows.order[at] : at] : 1;
}

/* out[n][k] = x[row n][k], n < rows.count */
void bp_gather(const struct bp_network *, const struct bp_array *x, const struct bp_rows *,
               bp_real *out, size_t stride);

/* Asks for these rows of x to be brought near, where they are few enough to stay there until they
 * are gathered: rows in a random order are a cache miss each. */
void bp_fetch(const struct bp_array *x, struct bp_rows);

/* For asking bit by bit: where each row begins, and the bytes of a number; 0 where they would not be
 * kept until they are used, or numbers are not neighbours. */
size_t bp_find_rows(const struct bp_array *x, struct bp_rows, const char **begins);

/* out[n][j] = y[row n][j], or 1 where j is the label of row n, else 0 */
void bp_gather_targets(const struct bp_network *, const struct bp_data *, const struct bp_rows *,
                       bp_real *out, size_t stride);

/* Whether every label is one of 0 ... classes - 1; *wrong is the first that is not. */
bool bp_labels_valid(const struct bp_array *labels, size_t classes, int64_t *wrong);

/* Whether no target that is there, as the mask has it, lies outside low ... high; NaN does not. The
 * place of the first that does in *row and *column. Not for labels. */
bool bp_targets_between(const struct bp_data *, double low, double high, size_t *row,
                        size_t *column);

/* Panels of rows x columns numbers to a plain matrix whose rows are out_row numbers apart. */
void bp_read_panels(const struct bp_network *, size_t rows, size_t columns, const bp_real *panels,
                    size_t stride, bp_real *out, size_t out_row);

#endif
