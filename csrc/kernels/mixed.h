/* mixed.h: products of factors rounded to bfloat16, whose sums are float32.
 * Depends on kernels.h and libc.
 *
 * A factor is rounded to the nearest bfloat16, ties to even, and subnormals to zero; the product of
 * two is then exact in float32. It lies in one of two ways, a row of either being a cache line:
 *
 *   left    A(r, s) = a[(s / 32) * a_stride + r * 32 + s % 32]
 *   right   B(s, j) = b[(j / 16) * b_stride + s / 2 * 32 + 2 * (j % 16) + s % 2]
 *
 * Both are zeros where s is from the depth to the next multiple of 32. Strides count numbers.
 */
#ifndef BP_MIXED_H
#define BP_MIXED_H

#include "kernels.h"

typedef uint16_t bp_bfloat16; /* the upper half of a float */

enum {
    BP_STRIP = 32, /* numbers in a cache line */
    /* rows of A past the last one, at most, that are read and have no meaning */
    BP_ROWS_BEYOND = 15,
    /* a piece of B: panels, and terms of a sum, at most */
    BP_PIECE_PANELS = 8,
    BP_PIECE_DEPTH = 512,
    BP_PIECE = BP_PIECE_PANELS * BP_PIECE_DEPTH * BP_STRIP / 2, /* numbers */
};

/* Memory to ask for on the way: `runs` runs of `lines` cache lines, `stride` bytes apart. */
struct bp_ahead {
    const char *at;
    size_t runs, lines, stride;
};

/* C[r][j] = start[j] + Σ_s A(r, s) B(s, j)      r < rows, s < depth, j < columns
 *   C[r][j] = c[(j / 16) * c_stride + r * 16 + j % 16]       pads may be written
 * start is NULL for zero, else a number for each column, and pads. resume: C itself is the start.
 * add: the sum begins at zero, and then C[r][j] += it.
 *
 * The order of a sum depends on its depth alone: not on rows and columns, nor on how the depth is
 * divided by `resume` at multiples of 32. Each table has an order of its own. */
struct bp_mixed_product {
    size_t rows, columns, depth;
    const bp_bfloat16 *a;
    size_t a_stride;
    const bp_bfloat16 *b;
    size_t b_stride;
    float *c;
    size_t c_stride;
    const float *start;
    bool resume, add;
    struct bp_ahead ahead;
};

/* m[r][c] = m[(c / 16) * stride + r * 16 + c % 16], r < rows, c < columns, to be rounded. */
struct bp_rounding {
    size_t rows, columns;
    const float *m;
    size_t stride;
    bp_bfloat16 *out;
    size_t out_stride;
};

struct bp_mixed {
    const char *name;
    /* how B is best given: in pieces of so many panels and terms */
    size_t piece_panels, piece_depth;
    void (*product)(const struct bp_mixed_product *);

    /* A(r, s) = m[r][s], of panels [first, last) of m */
    void (*left)(const struct bp_rounding *, size_t first, size_t last);
    /* A(r, s) = m[s][r], whole panels of r */
    void (*left_turned)(const struct bp_rounding *);
    /* B(s, j) = m[s][j], pads included */
    void (*right)(const struct bp_rounding *);
    /* B(s, j) = m[j][s]; pads are zeros */
    void (*right_turned)(const struct bp_rounding *);
};

/* The table for a precision of float32 networks that have these kernels: NULL for BP_AS_NETWORK, and
 * NULL with *why_not, a sentence, where this processor has none that is faster than float32. */
const struct bp_mixed *bp_select_mixed(const struct bp_kernels *, enum bp_precision,
                                       const char **why_not);

#endif
