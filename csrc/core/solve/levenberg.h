/* levenberg.h: what Levenberg-Marquardt holds while it iterates, for levenberg.c and bayesian.c.
 * Depends on solver.h and normal.h. */
#ifndef BP_LEVENBERG_H
#define BP_LEVENBERG_H

#include "normal.h"
#include "solver.h"

struct bp_levenberg_run {
    struct bp_solver_base base;
    const struct bp_solving *asked;
    struct bp_residuals residuals;
    struct bp_normal normal;
    struct bp_point now, trial;
    double *r;                            /* [slots], there; `residuals` has the trial's */
    double *pulled;                       /* Jᵀr there */
    double *step, *acceleration, *solved; /* solved: [order] */
    double *penalties;                    /* D, [parameters] */
    double *next;                         /* λ, [bp_groups]; NULL unless Bayesian */
    double to_loss;                       /* C is so many times Σ r² */
    size_t points;
    bool fresh; /* the matrix is that of `now` */
    struct bp_reached reached;
};

/* r, Jᵀr and what is reached at now.parameters, a new point, with the penalties there are; false
 * when it was stopped. */
bool
bp_levenberg_visit(struct bp_levenberg_run *);

/* factor = U of the matrix with the penalties and `damping` on its diagonal; false where it is not
 * positive definite. */
bool
bp_levenberg_factorize(struct bp_levenberg_run *, double damping);

/* The first penalties, at `now`; nothing where there are some. */
void
bp_bayesian_start(struct bp_levenberg_run *);

/* The next penalties at `now`, and back to better parameters, if those have come to rest with the
 * penalties there are: the iteration lowered C and penalties from `before` by next to nothing. False
 * when it was stopped: nothing has changed but what the run holds. */
bool
bp_bayesian_rest(struct bp_levenberg_run *, double before);

/* C with the penalties at `now`. */
void
bp_levenberg_penalize(struct bp_levenberg_run *);

#endif
