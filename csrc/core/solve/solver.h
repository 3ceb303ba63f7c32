/* solver.h: what a method of solving is to the loop. Depends on objective.h. */
#ifndef BP_SOLVER_H
#define BP_SOLVER_H

#include "objective.h"

/* Where an iteration has come to. */
struct bp_reached {
    double loss, objective; /* C; with penalties */
    double right;           /* the share of samples of the right class */
    double gradient_norm, gradient_most;
    double damping, step, effective, log_evidence; /* as in the record; NaN where there is none */
    const double *parameters;        /* [parameters] */
    bool pending; /* what it minimizes is about to change: a small gradient ends nothing yet */
};

enum bp_outcome { BP_MOVED, BP_NOT_MOVED, BP_ALL_FOUND, BP_STOPPED }; /* found: the penalties */

/* `self` is what open made. open allocates; the rest runs on thread 0 of the crew. */
struct bp_solver {
    /* NULL, with what went wrong in *status */
    void *(*open)(const struct bp_solving *, struct bp_crew *, enum bp_status *status);
    /* C and its gradient where the parameters are; false when it was stopped */
    bool (*start)(void *self, struct bp_reached *);
    enum bp_outcome (*iterate)(void *self, struct bp_reached *);
    void (*close)(void *self);
};

extern const struct bp_solver bp_lbfgs_solver, bp_levenberg_solver;

/* The first member of what open makes. */
struct bp_solver_base {
    struct bp_objective objective;
};

#endif
