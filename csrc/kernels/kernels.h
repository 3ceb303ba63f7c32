/* kernels.h: the arithmetic on vectors and matrices, one table of it per instruction set and
 * precision. Depends on block_step.h, chain.h, names.h and libc. Nothing here knows of layers, allocates, or
 * can fail.
 *
 * Matrices lie in panels: [columns / P][rows][P] with P = 64 bytes of numbers, so that a row of a
 * panel is a cache line. `stride` is the distance in numbers from one panel to the next, at least
 * rows * P. Columns past the last one (`pads`) are there to be computed with and never mean
 * anything; no kernel lets a pad reach a number that does.
 */
#ifndef BP_KERNELS_H
#define BP_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block_step.h"
#include "chain.h"
#include "names.h"

enum { BP_PANEL_BYTES = 64 };

/* numbers in a row of a panel */
#define BP_PANEL(type) (BP_PANEL_BYTES / sizeof(type))

/* C[r][j] = start[j] + Σ_s A(r, s) B[s][j], the sum over s in order.
 *   A(r, s) = a[(s / P) * a_stride + r * a_row + s % P]      r < rows, s < depth
 *   B[s][j] = b[(j / P) * b_stride + s * b_row + j % P]      j < columns; pads are read
 *   C[r][j] = c[(j / P) * c_stride + r * P + j % P]          pads may be written
 * start is NULL for zero, else a number for each column, and pads. resume: C itself is the
 * start. */
struct bp_product {
    size_t rows, columns, depth;
    const bp_real *a;
    size_t a_row, a_stride;
    const bp_real *b;
    size_t b_row, b_stride;
    bp_real *c;
    size_t c_stride;
    const bp_real *start;
    bool resume;
};

/* C[k][j] = Σ_n a[n][k] delta[n][j], k < rows, j < columns, the sum over n in order and from zero;
 * with `add`, C[k][j] += that, in one fused multiply-add where depth is 1.
 *   a[n][k]  panels with a_stride;  delta[n][j]  panels with delta_stride;  n < depth
 *   C[k][j] = c[(j / P) * c_stride + k * c_row + j % P]
 * c_row is P where C lies in panels, whose pads are then written too, or the row of a plain
 * matrix, of which nothing past `columns` is touched. */
struct bp_outer {
    size_t rows, columns, depth;
    const bp_real *a;
    size_t a_stride;
    const bp_real *delta;
    size_t delta_stride;
    bp_real *c;
    size_t c_row, c_stride;
    bool add;
    /* Memory to ask for on the way, or NULL: of each of `ahead_rows` rows, from ahead_at on,
     * ahead_bytes for each panel of a. */
    const char *const *ahead;
    size_t ahead_rows, ahead_at, ahead_bytes;
};

/* C[r][j] = start[j] + Σ_i values[i] B[k[i]][j] over the non-zeros begins[r] <= i < begins[r + 1]
 * of row r, in order; B, C and start as in bp_product. Of k, BP_PAST numbers past the last are
 * read, and are rows of B like the others. */
struct bp_sparse_product {
    size_t rows, columns;
    const size_t *begins;
    const uint32_t *k;
    const bp_real *values;
    const bp_real *b;
    size_t b_row, b_stride;
    bp_real *c;
    size_t c_stride;
    const bp_real *start;
};

enum { BP_PAST = 8 };

/* The non-zeros first, ..., first + count - 1 of column k, which has one at least. */
struct bp_group {
    uint32_t k, count;
    size_t first;
};

/* C[k][j] = Σ_i values[i] delta[rows[i]][j] over the non-zeros of column k, in order and from zero,
 * for the columns that the groups name, and for no others; add, c_row and delta as in bp_outer.
 * C[k_first] is at c; or with `tight` the first group's row of C is, whatever its k, and the
 * others' follow. With `one` there is one sample, and += is a fused multiply-add. Σ_i associates as
 * Σ_groups Σ_blocks Σ_i, of so many rows each; block_rows is 0 where all rows are one block. */
struct bp_sparse_outer {
    size_t count, columns; /* groups, j */
    const struct bp_group *groups;
    const uint32_t *rows;
    const bp_real *values;
    const bp_real *delta;
    size_t delta_stride;
    bp_real *c;
    size_t c_row, c_stride, k_first;
    size_t block_rows, group_rows;
    bool tight, add, one;
};

/* With samples in the lanes, panels being turned round, [samples / P][nodes][P]: for each sample
 *   z[i] = start_i + Σ_s W(i, s) a[s], i < nodes, s < depth, in order
 *   W(i, s) = w_jk with j = i and k = s, or, with `back`, k = i and j = s
 *   w_jk = w[(j / P) * w_stride + k * w_row + j % P]
 * start is NULL for zero. */
struct bp_lanes_product {
    size_t nodes, depth, panels;
    bool back;
    const bp_real *w;
    size_t w_row, w_stride;
    const bp_real *start;
    const bp_real *a;
    size_t a_stride;
    bp_real *z;
    size_t z_stride;
};

/* Of such panels, C[k][j] = Σ_lane Σ_panel a[k] delta[j] and bias[j] = Σ_lane Σ_panel delta[j],
 * k < rows, j < columns, each sum from zero and in order; C as in bp_outer, but pads are not
 * touched. bias may be NULL. */
struct bp_lanes_outer {
    size_t rows, columns, panels;
    const bp_real *a;
    size_t a_stride;
    const bp_real *delta;
    size_t delta_stride;
    bp_real *c;
    size_t c_row, c_stride;
    bp_real *bias;
};

/* One sample's step, put off until the next sample comes by: for j < panels * P and k < depth
 *   w_jk += a_last[k] delta[j], with one rounding;   z[j] = start[j] + Σ_k w_jk a[k], in order
 * where w_jk = w[(j / P) * w_stride + k * P + j % P], and vectors lie plain, pads included. */
struct bp_descent {
    size_t panels, depth;
    const bp_real *a_last, *delta, *a;
    const bp_real *start; /* NULL for zero */
    bp_real *w;
    size_t w_stride;
    bp_real *z;
};

struct bp_optimizer_step {
    enum bp_rule rule;
    bool nesterov;
    double rate, momentum, decay;
    double beta_1, beta_2, epsilon;    /* beta_2 is RMSprop's alpha */
    double correction_1, correction_2; /* 1 - beta_i^t in Adam's step t */
    double scale, limit; /* the gradient is multiplied by scale, then held within ±limit */
};

/* Which nodes of one layer are left out for one batch: node j of the sample in place p of the epoch
 * where M(M(key + (p + 1) G) + (j + 1) G) / 2^32, rounded down, is below rate 2^32. M is the mixing
 * function of SplitMix64, G its increment, and all of it is modulo 2^64. */
struct bp_drop {
    uint64_t key;   /* of this layer in this epoch */
    uint64_t place; /* in the epoch of the batch's row 0 */
    double rate;
};

struct bp_kernels {
    const char *isa;
    enum bp_dtype dtype;
    struct {
        size_t size;  /* bytes of a number */
        size_t panel; /* numbers in a row of a panel */
        size_t lanes; /* numbers in a vector */
    };

    struct { /* sums of products */
        void (*product)(const struct bp_product *);
        void (*outer)(const struct bp_outer *);
        void (*sparse_product)(const struct bp_sparse_product *);
        void (*sparse_outer)(const struct bp_sparse_outer *);
    };

    struct { /* samples in the lanes of vectors */
        void (*lanes_product)(const struct bp_lanes_product *);
        void (*lanes_outer)(const struct bp_lanes_outer *);

        /* softmax, loss (of z where fused), loss_derivative, fused_delta, scale_rows and classify
         * for all samples of such panels that lie one after the other, losses[n] being sample n's */
        void (*lanes_softmax)(size_t panels, size_t nodes, const bp_real *z, bp_real *a);
        void (*lanes_loss)(enum bp_loss, bool fused, size_t panels, size_t nodes, const bp_real *z,
                           const bp_real *a, const bp_real *y, double *losses);
        void (*lanes_loss_derivative)(enum bp_loss, size_t panels, size_t nodes, const bp_real *a,
                                      const bp_real *y, bp_real *dC_da);
        void (*lanes_fused_delta)(enum bp_loss, size_t panels, size_t nodes, const bp_real *a,
                                  const bp_real *y, bp_real *delta);
        void (*lanes_scale)(size_t panels, size_t nodes, const double *factors, bp_real *m);
        void (*lanes_classify)(size_t panels, size_t nodes, const bp_real *a, int64_t undecided,
                               int64_t *out);
    };

    struct { /* a sample a step */
        void (*descend_and_sum)(const struct bp_descent *);

        /* out[k] = Σ_j delta[j] w_jk for k < rows, j < columns, w as in bp_descent, in order; out
         * is filled up with zeros to whole vectors of at most P numbers, as many rows of w are read */
        void (*turned_sum)(size_t rows, size_t columns, const bp_real *w, size_t w_stride,
                           const bp_real *delta, bp_real *out);

        /* For each of `count` samples in turn, forward, backward and w_jk += a_k delta_j, delta of the
         * last link times the sample's factor; or, with a rule's numbers, its step by a_k delta_j. */
        void (*chain_steps)(const struct bp_chain *, size_t count, const double *factors);

        /* to = from, rows of a panel, of which the first `widest` numbers are copied, or more; whether these are finite */
        bool (*chain_copy)(size_t widest, size_t rows, const bp_real *from, bp_real *to);
    };

    struct { /* matrices and vectors */
        /* sum[j] = Σ_n delta[n][j], n < rows, j < columns, in the order of outer; += with `add` */
        void (*column_sums)(size_t rows, size_t columns, const bp_real *delta, size_t stride,
                            bool add, bp_real *sum);

        /* out panels [rows / P][columns][P] = transpose of in panels [columns / P][rows][P] */
        void (*transpose)(size_t rows, size_t columns, const bp_real *in, size_t in_stride,
                          bp_real *out, size_t out_stride);

        /* m[n][j] *= factors[n], over all panels */
        void (*scale_rows)(size_t rows, size_t panels, const double *factors, bp_real *m,
                           size_t stride);

        /* sum[i] = a[i] + b[i], i < count, count a multiple of P; sum may be a */
        void (*add)(size_t count, const bp_real *a, const bp_real *b, bp_real *sum);

        /* m[i] *= factor[i], i < count, count a multiple of P */
        void (*multiply)(size_t count, const bp_real *factor, bp_real *m);

        /* index of the largest entry of each row, the first of equals; one column: 1 where >= 0.5;
         * `undecided` for a row with a NaN */
        void (*classify)(size_t rows, size_t columns, const bp_real *a, size_t stride,
                         int64_t undecided, int64_t *out);

        bool (*all_finite)(size_t count, const bp_real *x);
    };

    struct { /* activations */
        /* a[i] = g(z[i]), i < count; a may be z. Not for softmax. */
        void (*activate)(enum bp_activation g, size_t count, const bp_real *z, bp_real *a);

        /* out[i] = g'(z[i]) * factor[i], i < count, whole panels; or g'(z[i]) where factor is NULL;
         * a = g(z) as activate left it. out may be factor. Reads only the one of z and a that
         * bp_derivative_needs_z names. */
        void (*derivative)(enum bp_activation g, size_t count, const bp_real *z, const bp_real *a,
                           const bp_real *factor, bp_real *out);

        /* a[n] = softmax(z[n]); a may be z */
        void (*softmax)(size_t rows, size_t columns, const bp_real *z, bp_real *a, size_t stride);

        /* delta[n][j] = a_j (dC_da_j - Σ_i a_i dC_da_i): dC_da times softmax's Jacobian.
         * delta may be dC_da */
        void (*softmax_delta)(size_t rows, size_t columns, const bp_real *a, const bp_real *dC_da,
                              bp_real *delta, size_t stride);

        /* out[n][j][i] = a_j ((i == j) - a_i) = da_j/dz_i, plain (rows, columns, columns) */
        void (*softmax_jacobian)(size_t rows, size_t columns, const bp_real *a, size_t stride,
                                 bp_real *out);
    };

    struct { /* losses */
        /* losses[n] = C_0 of row n. z is NULL, or, for sigmoid with binary and softmax with plain
         * cross-entropy, the weighted sums, from which the value stays finite for any finite z. */
        void (*loss)(enum bp_loss, size_t rows, size_t columns, const bp_real *z, const bp_real *a,
                     const bp_real *y, size_t stride, double *losses);

        /* dC_da[n][j] of one sample's loss; pads become 0 */
        void (*loss_derivative)(enum bp_loss, size_t rows, size_t columns, const bp_real *a,
                                const bp_real *y, bp_real *dC_da, size_t stride);

        /* delta[n][j] = dC_0/dz of the two fused pairs: a Σy - y for (softmax, cross-entropy), a -
         * y for (sigmoid, binary cross-entropy); pads become 0 */
        void (*fused_delta)(enum bp_loss, size_t rows, size_t columns, const bp_real *a,
                            const bp_real *y, bp_real *delta, size_t stride);
    };

    struct { /* optimizers */
        /* parameters w, gradient g and the optimizer's states, count numbers each; the states begin
         * as zeros, and are NULL where the rule has none */
        void (*optimize)(const struct bp_optimizer_step *, size_t count, bp_real *w,
                         const bp_real *g, bp_real *const state[BP_STATES]);

        /* The same for rows of `columns` numbers: row r of w and of the states is at[r] numbers from
         * their beginning, that of g is r g_row, which is whole vectors. */
        void (*optimize_rows)(const struct bp_optimizer_step *, size_t rows, size_t columns,
                              const size_t *at, bp_real *w, const bp_real *g, size_t g_row,
                              bp_real *const state[BP_STATES]);

        /* numbers[BP_RULE_NUMBERS] of a step */
        void (*rule_numbers)(const struct bp_optimizer_step *, bp_real *numbers);
    };

    struct { /* a network a lane */
        /* For each of the networks, steps on `samples` samples, `batch` of them each: forward,
         * backward, update; or, with step.gradient, one part of a step, `batch` samples. A network's
         * numbers have the bits that the other kernels would give it alone. */
        void (*population_steps)(const struct bp_block_step *, size_t samples, size_t batch);

        /* Forward and sums alone; losses are added one by one. */
        void (*population_forward)(const struct bp_block_step *, size_t samples);

        /* out[k][i] = rows[i][k] for k < count and the i-th of `group` networks, group whole
         * vectors */
        void (*interleave)(size_t group, size_t count, const bp_real *const rows[], bp_real *out);

        /* The other way: rows[i][k] = in[k][i], where rows[i] is not NULL */
        void (*separate)(size_t group, size_t count, const bp_real *in, bp_real *const rows[]);
    };

    struct { /* penalties, masks and dropout */
        /* g[r][j] += l1 sign(w[r][j]) + l2 w[r][j], j < columns <= P; rows w_row and g_row apart */
        void (*penalize)(size_t rows, size_t columns, double l1, double l2, const bp_real *w,
                         size_t w_row, bp_real *g, size_t g_row);

        /* m[r][j] = 0 where mask[r][j] is 0, j < columns <= P; rows mask_row and row apart */
        void (*mask)(size_t rows, size_t columns, const unsigned char *mask, size_t mask_row,
                     bp_real *m, size_t row);

        /* Σ m[r][j]², j < columns <= P, rows `row` apart; column by column, then over the columns */
        double (*sum_of_squares)(size_t rows, size_t columns, const bp_real *m, size_t row);

        /* Σ x[i]², i < count, in the precision of x and pairwise, as NumPy sums an array */
        double (*pairwise_squares)(size_t count, const bp_real *x);

        /* out[n][j] = 0 where the node is left out, else a[n][j] / (1 - rate): `rows` rows from
         * `first` on of a batch in one panel, whose first node is `column`; a and out begin at row
         * `first`, and out may be a */
        void (*drop)(const struct bp_drop *, size_t first, size_t rows, size_t column,
                     const bp_real *a, bp_real *out);

        /* out[i] = x[i] where mask[i] is not 0, else fill; i < count, a multiple of P; out may be x */
        void (*keep_where)(size_t count, const bp_real *mask, const bp_real *x, double fill,
                           bp_real *out);
    };

    struct { /* second derivatives */
        /* For a direction in which z moves by dz and dC_da by `change`:
         * out[i] = g''(z) dz dC_da + g'(z) change, the change of delta; count a multiple of P. Not
         * for softmax. Second derivatives are 0 at a kink. */
        void (*delta_change)(enum bp_activation g, size_t count, const bp_real *z, const bp_real *a,
                             const bp_real *dz, const bp_real *dC_da, const bp_real *change,
                             bp_real *out);

        /* Where out is softmax_delta of dC_da's change: adds what the change da of a makes of it,
         * da_j (dC_da_j - Σ_i a_i dC_da_i) - a_j Σ_i da_i dC_da_i. */
        void (*softmax_delta_change)(size_t rows, size_t columns, const bp_real *a,
                                     const bp_real *da, const bp_real *dC_da, bp_real *out,
                                     size_t stride);

        /* out[n][j] = ∂²C_0/∂a_j² da_j; pads become 0 */
        void (*loss_curvature)(enum bp_loss, size_t rows, size_t columns, const bp_real *a,
                               const bp_real *y, const bp_real *da, bp_real *out, size_t stride);

        /* the change of fused_delta's delta: da Σy for softmax, da for sigmoid; pads become 0 */
        void (*fused_delta_change)(enum bp_loss, size_t rows, size_t columns, const bp_real *y,
                                   const bp_real *da, bp_real *out, size_t stride);
    };

    struct {
        /* Multiply-adds on registers alone, peak_flops operations a round; returns a number that
         * depends on all of them. */
        double (*peak)(size_t rounds);
        size_t peak_flops;
    };
};

/* The tables this processor can use, best first, for one dtype; NULL ends them. */
const struct bp_kernels *const *
bp_kernel_candidates(enum bp_dtype dtype);

/* The best candidate, or the one called isa; NULL where this processor has none of that name. */
const struct bp_kernels *
bp_select_kernels(enum bp_dtype dtype, const char *isa);

#endif
