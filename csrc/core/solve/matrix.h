/* matrix.h: symmetric matrices of double in panels [n / P][n][P], of which the upper triangle is
 * meant, and A = UᵀU. Depends on kernels/, crew.h and base/.
 *
 * The bits do not depend on the threads. Products run on the kernels; what is left, a 1/24 of the
 * work at n = 200, does not. */
#ifndef BP_MATRIX_H
#define BP_MATRIX_H

#include "core/base/sizes.h"
#include "crew.h"
#include "kernels/kernels.h"

struct bp_matrix {
    const struct bp_kernels *kernels; /* of double */
    struct bp_crew *crew;
    size_t order, stride; /* from a panel to the next */
    double *numbers;      /* bp_matrix_numbers of them */
    double *scratch;      /* BP_MATRIX_BLOCK rows */
};

enum { BP_MATRIX_BLOCK = 32 };

/* The panels of so many columns. */
static inline size_t
bp_matrix_panels(size_t columns)
{
    return bp_quotient_up(columns, BP_PANEL(double));
}

/* The numbers of a matrix, SIZE_MAX where that does not fit; and of its scratch. */
size_t
bp_matrix_numbers(size_t order);
size_t
bp_matrix_scratch(size_t order);

/* The stride for an order. */
size_t
bp_matrix_stride(size_t order);

static inline double *
bp_entry(const struct bp_matrix *m, size_t row, size_t column)
{
    enum { P = BP_PANEL(double) };
    return m->numbers + column / P * m->stride + row * P + column % P;
}

/* A = Σ_s a_s a_sᵀ, or += with `add`: a in panels [n / P][depth][P], a_stride apart. */
void
bp_matrix_add_squares(const struct bp_matrix *, size_t depth, const double *a, size_t a_stride,
                      bool add);

/* Replaces A by U; false where A is not positive definite, as far as rounding lets it see. */
bool
bp_matrix_factor(const struct bp_matrix *);

/* x = (UᵀU)⁻¹ x */
void
bp_matrix_solve(const struct bp_matrix *u, double *x);

/* ln |UᵀU| */
double
bp_matrix_log_determinant(const struct bp_matrix *u);

/* diagonal[k] = entry (k, k) of (UᵀU)⁻¹; x: room for as many numbers as the order. */
void
bp_matrix_inverse_diagonal(const struct bp_matrix *u, double *x, double *diagonal);

#endif
