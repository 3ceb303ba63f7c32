#include "matrix.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"

enum { P = BP_PANEL(double) };

size_t
bp_matrix_stride(size_t order)
{
    return bp_size_product(bp_matrix_panels(order) * P | 1, P);
}

size_t
bp_matrix_numbers(size_t order)
{
    return bp_size_product(bp_matrix_panels(order), bp_matrix_stride(order));
}

size_t
bp_matrix_scratch(size_t order)
{
    return bp_size_product(bp_matrix_panels(order), (size_t)BP_MATRIX_BLOCK * P);
}

/* C[r][c] += Σ_s a[s][r] b[s][c] for rows and columns from `first` on, on and above the diagonal */
struct products {
    const struct bp_matrix *m;
    size_t first, depth;
    const double *a, *b;
    size_t a_stride, b_stride;
    bool add;
};

/* Bands of rows are dealt to the threads: each entry is summed by one of them. */
static void
add_products(void *context, size_t me)
{
    const struct products *p = context;
    const struct bp_matrix *m = p->m;
    const size_t left = m->order - p->first, band = left <= 128 ? P : 4 * P;

    for (size_t k = me * band; k < left; k += m->crew->threads * band) {
        const size_t rows = bp_smaller(left - k, band);
        m->kernels->outer(&(struct bp_outer){
            .rows = rows,
            .columns = left - k,
            .depth = p->depth,
            .a = p->a + k / P * p->a_stride,
            .a_stride = p->a_stride,
            .delta = p->b + k / P * p->b_stride,
            .delta_stride = p->b_stride,
            .c = bp_entry(m, p->first + k, p->first + k),
            .c_row = P,
            .c_stride = m->stride,
            .add = p->add,
        });
    }
}

/* A team is not worth its meetings below some multiply-adds. */
static void
all_products(struct products *p)
{
    enum { FEW = 1 << 19 };
    const size_t left = p->m->order - p->first;

    if (p->m->crew->threads > 1 && left * left / 2 * p->depth > FEW)
        bp_crew_do(p->m->crew, add_products, p);
    else
        for (size_t me = 0; me < p->m->crew->threads; me++)
            add_products(p, me);
}

void
bp_matrix_add_squares(const struct bp_matrix *m, size_t depth, const double *a, size_t a_stride,
                      bool add)
{
    struct products p = {
        .m = m,
        .depth = depth,
        .a = a,
        .b = a,
        .a_stride = a_stride,
        .b_stride = a_stride,
        .add = add,
    };
    all_products(&p);
}

/* Row k of one panel of U: what rows first ... k - 1 take off it. `of_k`: the column k, in which
 * the multipliers lie P apart. */
static void
take_off(double *panel, const double *of_k, size_t first, size_t k)
{
    double row[P];

    memcpy(row, panel + k * P, sizeof(row));
    for (size_t i = first; i < k; i++)
        for (size_t t = 0; t < P; t++)
            row[t] -= of_k[i * P] * panel[i * P + t];
    memcpy(panel + k * P, row, sizeof(row));
}

/* Rows first ... last - 1 of U, from the diagonal on. */
static bool
factor_rows(const struct bp_matrix *m, size_t first, size_t last)
{
    for (size_t q = first / P; q < bp_matrix_panels(m->order); q++) {
        double *panel = m->numbers + q * m->stride;
        const size_t end = bp_smaller(last, (q + 1) * P);
        for (size_t k = first; k < end; k++) {
            const double *of_k = m->numbers + k / P * m->stride + k % P;
            take_off(panel, of_k, first, k);
            if (k / P == q) {
                const double pivot = panel[k * P + k % P];
                if (!(pivot > 0) || !isfinite(pivot))
                    return false;
                panel[k * P + k % P] = sqrt(pivot);
            }
            const double reciprocal = 1 / of_k[k * P];
            for (size_t t = k / P == q ? k % P + 1 : 0; t < P; t++)
                panel[k * P + t] *= reciprocal;
        }
    }
    return true;
}

/* scratch = -U[first ... last - 1][last ...] */
static void
negate_rows(const struct bp_matrix *m, size_t first, size_t last)
{
    const size_t count = (last - first) * P;

    for (size_t q = last / P; q < bp_matrix_panels(m->order); q++) {
        const double *from = m->numbers + q * m->stride + first * P;
        double *to = m->scratch + (q - last / P) * (size_t)BP_MATRIX_BLOCK * P;
        for (size_t i = 0; i < count; i++)
            to[i] = -from[i];
    }
}

bool
bp_matrix_factor(const struct bp_matrix *m)
{
    const size_t block = m->order <= 2 * BP_MATRIX_BLOCK ? m->order : BP_MATRIX_BLOCK;

    for (size_t first = 0; first < m->order; first += block) {
        const size_t last = bp_smaller(m->order, first + block);
        if (!factor_rows(m, first, last))
            return false;
        if (last == m->order)
            break;
        negate_rows(m, first, last);
        struct products p = {
            .m = m,
            .first = last,
            .depth = last - first,
            .a = m->scratch,
            .a_stride = (size_t)BP_MATRIX_BLOCK * P,
            .b = m->numbers + last / P * m->stride + first * P,
            .b_stride = m->stride,
            .add = true,
        };
        all_products(&p);
    }
    return true;
}

/* x = U⁻ᵀ x, of which the first `from` panels are zeros */
static void
solve_forward(const struct bp_matrix *u, size_t from, double *x)
{
    for (size_t q = from; q < bp_matrix_panels(u->order); q++) {
        const double *panel = u->numbers + q * u->stride;
        const size_t first = q * P, width = bp_smaller(u->order - first, P);
        double sums[P] = {0};
        for (size_t i = from * P; i < first; i++)
            for (size_t t = 0; t < P; t++)
                sums[t] += panel[i * P + t] * x[i];
        for (size_t t = 0; t < width; t++) {
            double value = x[first + t] - sums[t];
            for (size_t s = 0; s < t; s++)
                value -= panel[(first + s) * P + t] * x[first + s];
            x[first + t] = value / panel[(first + t) * P + t];
        }
    }
}

static void
solve_backward(const struct bp_matrix *u, double *x)
{
    for (size_t q = bp_matrix_panels(u->order); q-- > 0;) {
        const double *panel = u->numbers + q * u->stride;
        const size_t first = q * P, width = bp_smaller(u->order - first, P);
        double known[P] = {0};
        for (size_t t = width; t-- > 0;) {
            double value = x[first + t];
            for (size_t s = t + 1; s < width; s++)
                value -= panel[(first + t) * P + s] * x[first + s];
            x[first + t] = known[t] = value / panel[(first + t) * P + t];
        }
        for (size_t i = 0; i < first; i++) {
            double sum = 0;
            for (size_t t = 0; t < width; t++)
                sum += panel[i * P + t] * known[t];
            x[i] -= sum;
        }
    }
}

void
bp_matrix_solve(const struct bp_matrix *u, double *x)
{
    solve_forward(u, 0, x);
    solve_backward(u, x);
}

double
bp_matrix_log_determinant(const struct bp_matrix *u)
{
    double sum = 0;

    for (size_t k = 0; k < u->order; k++)
        sum += 2 * log(*bp_entry(u, k, k));
    return sum;
}

/* |U⁻ᵀ e_k|² */
void
bp_matrix_inverse_diagonal(const struct bp_matrix *u, double *x, double *diagonal)
{
    for (size_t k = 0; k < u->order; k++) {
        double sum = 0;
        memset(x, 0, u->order * sizeof(*x));
        x[k] = 1;
        solve_forward(u, k / P, x);
        for (size_t i = k; i < u->order; i++)
            sum += x[i] * x[i];
        diagonal[k] = sum;
    }
}
