/* residuals.h: r_i = √(w_n m_nj) (a_j - y_j), one for each sample and output, and J = ∂r/∂w.
 * Depends on objective.h. In double, whatever the network's dtype: its kernels are those of double.
 *
 * r lies in slots: for each block and each output the rows of the block, filled up to whole panels
 * with residuals of 0 whose J is 0. */
#ifndef BP_RESIDUALS_H
#define BP_RESIDUALS_H

#include "objective.h"

struct bp_residuals {
    struct bp_objective *objective;
    size_t outputs, room; /* slots of one output in one block */
    size_t slots;         /* of all */
    double *r;            /* [slots], of the last bp_residuals_at */
    double *bend;         /* [slots]: ∂²r/∂t² along the last direction */
    double *along, *twice;      /* the direction and its double, [bp_room] */
    struct bp_workspace *moved; /* one a thread, or NULL without second derivatives */
};

/* BP_OK or BP_NO_MEMORY; to be freed in any case. */
enum bp_status
bp_residuals_init(struct bp_residuals *, struct bp_objective *, bool bends);
void
bp_residuals_free(struct bp_residuals *);

/* A point: its parameters [bp_room], and a number above 0 that is its own. */
struct bp_point {
    double *parameters;
    size_t number;
};

/* The slots of a block that begins at row `first`. */
static inline size_t
bp_slots_of(const struct bp_residuals *r, size_t first)
{
    return first / r->objective->rows * r->outputs * r->room;
}

/* √(w_n m_nj) */
double
bp_residual_root(const struct bp_residuals *, const struct bp_pass *, size_t first, size_t n,
                 size_t j);

/* r there; Σ w C_0 and the right ones into the objective's sums. These: false when stopped. */
bool
bp_residuals_at(struct bp_residuals *, struct bp_point);

/* out = Jᵀ u, [parameters] */
bool
bp_pull_back(struct bp_residuals *, struct bp_point, const double *u, double *out);

/* bend, and out = Jᵀ bend unless it is NULL, along the direction */
bool
bp_bend(struct bp_residuals *, struct bp_point, double *out);

/* For a visit: dC_da of the last layer from u in slots, times the roots, then delta back. */
void
bp_seed(const struct bp_residuals *, const struct bp_pass *, size_t first, const double *u);

#endif
