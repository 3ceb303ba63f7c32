#include "arrays.h"

#include <string.h>

static const size_t bytes_of[BP_NUMBERS] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8};

double
bp_sum_of_weights(const struct bp_data *data)
{
    double sum = 0;

    if (!data->weights)
        return (double)data->x.rows;
    for (size_t n = 0; n < data->x.rows; n++)
        sum += data->weights[n];
    return sum;
}

/* IEEE half precision, exactly: its 2^-24 steps and its 11 bits fit into a float */
static float
half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, rest = h & 0x3ff;
    uint32_t bits;
    float value;

    if (exponent == 31)
        bits = 0x7f800000 | rest << 13;
    else if (exponent > 0)
        bits = (exponent + 112) << 23 | rest << 13;
    else {
        value = (float)rest * 0x1p-24F;
        return sign ? -value : value;
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

#define SAME(x) (x)

static void
reverse(void *number, size_t size)
{
    unsigned char *bytes = number;
    for (size_t i = 0; i < size / 2; i++) {
        const unsigned char byte = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = byte;
    }
}

static const char *
row_of(const struct bp_array *array, struct bp_rows rows, size_t n)
{
    const size_t row = rows.order ? rows.order[rows.first + n] : rows.first + n;
    return array->data + (ptrdiff_t)row * array->row_stride;
}

/* Past the last byte of all rows, where numbers are neighbours. */
static const char *
end_of(const struct bp_array *array)
{
    const ptrdiff_t last = array->row_stride > 0 ? (ptrdiff_t)array->rows - 1 : 0;
    return array->data + last * array->row_stride + array->columns * bytes_of[array->type];
}

/* Rows of numbers of type SOURCE, to panels of TARGET. Where a row ends within a panel, what follows
 * it in memory goes into the pads: a whole panel takes less time than some numbers. The loop over neighbours in the native byte
 * order is the one that compilers turn into vectors; it asks for the same place of a row to come, as
 * no processor foresees where a random row lies. */
enum { ROWS_AHEAD = 2 };

#define GATHER(name, SOURCE, TARGET, convert)                                                      \
    static void name(const struct bp_array *x, const struct bp_rows *rows, void *to,               \
                     size_t stride)                                                                \
    {                                                                                              \
        enum { P = BP_PANEL(TARGET) };                                                             \
        const ptrdiff_t apart = x->column_stride;                                                  \
        const bool neighbours = apart == sizeof(SOURCE) && !x->swapped;                            \
        const size_t columns = x->columns;                                                         \
        const char *const end = end_of(x);                                                         \
        for (size_t n = 0; n < rows->count; n++) {                                                 \
            const char *from = row_of(x, *rows, n);                                                \
            const size_t left = rows->count - 1 - n;                                               \
            const char *ahead = row_of(x, *rows, n + (left < ROWS_AHEAD ? left : ROWS_AHEAD));     \
            TARGET *to_row = (TARGET *)to + n * P;                                                 \
            size_t k = 0;                                                                          \
            if (neighbours && columns <= P / 4 && end - from >= P / 4 * apart) {                   \
                SOURCE in[P / 4];                                                                  \
                __builtin_prefetch(ahead);                                                         \
                memcpy(in, from, sizeof(in));                                                      \
                for (size_t t = 0; t < P / 4; t++)                                                 \
                    to_row[t] = (TARGET)convert(in[t]);                                            \
                continue;                                                                          \
            }                                                                                      \
            for (; neighbours && k < columns && end - from >= P * apart;                           \
                 k += P, from += P * apart) {                                                      \
                TARGET *out = to_row + k / P * stride;                                             \
                SOURCE in[P];                                                                      \
                __builtin_prefetch(ahead + k * sizeof(SOURCE));                                    \
                memcpy(in, from, sizeof(in));                                                      \
                for (size_t t = 0; t < P; t++)                                                     \
                    out[t] = (TARGET)convert(in[t]);                                               \
            }                                                                                      \
            for (; k < columns; k++, from += apart) {                                              \
                SOURCE in;                                                                         \
                memcpy(&in, from, sizeof(in));                                                     \
                if (x->swapped)                                                                    \
                    reverse(&in, sizeof(in));                                                      \
                to_row[k / P * stride + k % P] = (TARGET)convert(in);                              \
            }                                                                                      \
        }                                                                                          \
    }

#define GATHER_FROM(suffix, SOURCE, convert)                                                       \
    GATHER(f32_from_##suffix, SOURCE, float, convert)                                              \
    GATHER(f64_from_##suffix, SOURCE, double, convert)

GATHER_FROM(bool, uint8_t, !!)
GATHER_FROM(int8, int8_t, SAME)
GATHER_FROM(int16, int16_t, SAME)
GATHER_FROM(int32, int32_t, SAME)
GATHER_FROM(int64, int64_t, SAME)
GATHER_FROM(uint8, uint8_t, SAME)
GATHER_FROM(uint16, uint16_t, SAME)
GATHER_FROM(uint32, uint32_t, SAME)
GATHER_FROM(uint64, uint64_t, SAME)
GATHER_FROM(half, uint16_t, half_to_float)
GATHER_FROM(float, float, SAME)
GATHER_FROM(double, double, SAME)

typedef void (*gather)(const struct bp_array *x, const struct bp_rows *, void *to, size_t stride);

#define ROW(suffix)                                                                                \
    {                                                                                              \
        f32_from_##suffix, f64_from_##suffix                                                       \
    }
static const gather gathers[BP_NUMBERS][BP_DTYPES] = {
    [BP_BOOL] = ROW(bool),     [BP_INT8] = ROW(int8),     [BP_INT16] = ROW(int16),
    [BP_INT32] = ROW(int32),   [BP_INT64] = ROW(int64),   [BP_UINT8] = ROW(uint8),
    [BP_UINT16] = ROW(uint16), [BP_UINT32] = ROW(uint32), [BP_UINT64] = ROW(uint64),
    [BP_HALF] = ROW(half),     [BP_FLOAT] = ROW(float),   [BP_DOUBLE] = ROW(double),
};

void
bp_gather(const struct bp_network *net, const struct bp_array *x, const struct bp_rows *rows,
          bp_real *out, size_t stride)
{
    gathers[x->type][net->kernels->dtype](x, rows, out, stride);
}

/* Whether the rows lie in one piece each, and stay in the second cache until they are loaded. */
static bool
worth_fetching(const struct bp_array *x, struct bp_rows rows)
{
    enum { MOST_BYTES = 1 << 18 };
    const size_t size = bytes_of[x->type];
    return x->column_stride == (ptrdiff_t)size && rows.count > 0 &&
           x->columns * size <= MOST_BYTES / rows.count;
}

void
bp_fetch(const struct bp_array *x, struct bp_rows rows)
{
    enum { CACHE_LINE = 64 };
    const size_t bytes = x->columns * bytes_of[x->type];

    if (!worth_fetching(x, rows))
        return;
    for (size_t n = 0; n < rows.count; n++) {
        const char *row = row_of(x, rows, n);
        for (size_t i = 0; i < bytes; i += CACHE_LINE)
            __builtin_prefetch(row + i, 0, 2);
        __builtin_prefetch(row + bytes - 1, 0, 2); /* a row need not begin on a line */
    }
}

size_t
bp_find_rows(const struct bp_array *x, struct bp_rows rows, const char **begins)
{
    if (!worth_fetching(x, rows))
        return 0;
    for (size_t n = 0; n < rows.count; n++)
        begins[n] = row_of(x, rows, n);
    return bytes_of[x->type];
}

static int64_t
label_of(const struct bp_array *labels, const char *from)
{
    unsigned char bytes[8] = {0};
    const size_t size = bytes_of[labels->type];
    memcpy(bytes, from, size);
    if (labels->swapped)
        reverse(bytes, size);

    switch (labels->type) {
#define LABEL(kind, TYPE)                                                                          \
    case kind: {                                                                                   \
        TYPE value;                                                                                \
        memcpy(&value, bytes, sizeof(value));                                                      \
        return (int64_t)value;                                                                     \
    }
        LABEL(BP_INT8, int8_t)
        LABEL(BP_INT16, int16_t)
        LABEL(BP_INT32, int32_t)
        LABEL(BP_INT64, int64_t)
        LABEL(BP_UINT8, uint8_t)
        LABEL(BP_UINT16, uint16_t)
        LABEL(BP_UINT32, uint32_t)
        LABEL(BP_UINT64, uint64_t) /* past 2^63 it turns negative, which is no label either */
#undef LABEL
    case BP_BOOL:
        return bytes[0] != 0;
    default:
        return -1; /* a fraction is no label */
    }
}

bool
bp_labels_valid(const struct bp_array *labels, size_t classes, int64_t *wrong)
{
    for (size_t n = 0; n < labels->rows; n++) {
        *wrong = label_of(labels, labels->data + (ptrdiff_t)n * labels->row_stride);
        if (*wrong < 0 || (uint64_t)*wrong >= classes)
            return false;
    }
    return true;
}

/* The first of `count` numbers, `apart` bytes apart, outside low ... high, or `count`. NaN is none. */
#define FIRST_OUTSIDE(suffix, SOURCE, convert)                                                     \
    static size_t first_outside_##suffix(const struct bp_array *y, const char *from,               \
                                         ptrdiff_t apart, size_t count, double low, double high)   \
    {                                                                                              \
        for (size_t i = 0; i < count; i++, from += apart) {                                        \
            SOURCE in;                                                                             \
            memcpy(&in, from, sizeof(in));                                                         \
            if (y->swapped)                                                                        \
                reverse(&in, sizeof(in));                                                          \
            if ((double)convert(in) < low || (double)convert(in) > high)                           \
                return i;                                                                          \
        }                                                                                          \
        return count;                                                                              \
    }

FIRST_OUTSIDE(bool, uint8_t, !!)
FIRST_OUTSIDE(int8, int8_t, SAME)
FIRST_OUTSIDE(int16, int16_t, SAME)
FIRST_OUTSIDE(int32, int32_t, SAME)
FIRST_OUTSIDE(int64, int64_t, SAME)
FIRST_OUTSIDE(uint8, uint8_t, SAME)
FIRST_OUTSIDE(uint16, uint16_t, SAME)
FIRST_OUTSIDE(uint32, uint32_t, SAME)
FIRST_OUTSIDE(uint64, uint64_t, SAME)
FIRST_OUTSIDE(half, uint16_t, half_to_float)
FIRST_OUTSIDE(float, float, SAME)
FIRST_OUTSIDE(double, double, SAME)

typedef size_t (*first_outside)(const struct bp_array *y, const char *from, ptrdiff_t apart,
                                size_t count, double low, double high);

static const first_outside finders[BP_NUMBERS] = {
    [BP_BOOL] = first_outside_bool,     [BP_INT8] = first_outside_int8,
    [BP_INT16] = first_outside_int16,   [BP_INT32] = first_outside_int32,
    [BP_INT64] = first_outside_int64,   [BP_UINT8] = first_outside_uint8,
    [BP_UINT16] = first_outside_uint16, [BP_UINT32] = first_outside_uint32,
    [BP_UINT64] = first_outside_uint64, [BP_HALF] = first_outside_half,
    [BP_FLOAT] = first_outside_float,   [BP_DOUBLE] = first_outside_double,
};

/* Whether a target is there: its place in the mask is not 0. */
static bool
is_there(const struct bp_array *mask, size_t row, size_t column)
{
    return mask->data[(ptrdiff_t)row * mask->row_stride +
                      (ptrdiff_t)column * mask->column_stride] != 0;
}

bool
bp_targets_between(const struct bp_data *data, double low, double high, size_t *row, size_t *column)
{
    const struct bp_array *y = &data->y;
    const first_outside find = finders[y->type];
    /* one number a row, and rows without a gap: all in one go */
    const bool narrow = y->columns == 1;
    const bool whole = narrow || y->row_stride == (ptrdiff_t)y->columns * y->column_stride;
    const ptrdiff_t apart = narrow ? y->row_stride : y->column_stride;
    const size_t lines = whole ? 1 : y->rows, length = whole ? y->rows * y->columns : y->columns;

    for (size_t n = 0; n < lines; n++) {
        const char *from = y->data + (ptrdiff_t)n * y->row_stride;
        for (size_t i = 0; i < length; i++) {
            i += find(y, from + (ptrdiff_t)i * apart, apart, length - i, low, high);
            *row = whole ? i / y->columns : n;
            *column = whole ? i % y->columns : i;
            if (i < length && (!data->mask.data || is_there(&data->mask, *row, *column)))
                return false;
        }
    }
    return true;
}

void
bp_gather_targets(const struct bp_network *net, const struct bp_data *data,
                  const struct bp_rows *rows, bp_real *out, size_t stride)
{
    const size_t panel = net->kernels->panel, outputs = net->layers[net->count - 1].outputs;

    if (!data->labels) {
        bp_gather(net, &data->y, rows, out, stride);
        return;
    }
    for (size_t q = 0; q < bp_panels(net, outputs); q++)
        memset(bp_at(net, out, q * stride), 0, rows->count * BP_PANEL_BYTES);
    for (size_t n = 0; n < rows->count; n++) {
        /* the array may have been written to since it was checked: never outside the row */
        const size_t label = (uint64_t)label_of(&data->y, row_of(&data->y, *rows, n)) % outputs;
        void *entry = bp_at(net, out, label / panel * stride + n * panel + label % panel);
        if (net->kernels->dtype == BP_FLOAT32)
            *(float *)entry = 1;
        else
            *(double *)entry = 1;
    }
}

void
bp_read_panels(const struct bp_network *net, size_t rows, size_t columns, const bp_real *panels,
               size_t stride, bp_real *out, size_t out_row)
{
    const size_t panel = net->kernels->panel, size = net->kernels->size;

    for (size_t j = 0, q = 0; j < columns; j += panel, q++) {
        const size_t width = columns - j < panel ? columns - j : panel;
        for (size_t n = 0; n < rows; n++)
            memcpy(bp_at(net, out, n * out_row + j), bp_const_at(net, panels, q * stride + n * panel),
                   width * size);
    }
}
