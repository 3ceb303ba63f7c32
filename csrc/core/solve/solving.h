/* solving.h: what is asked of a whole-batch solver, and what it remembers between two calls.
 * Depends on data/ and network/. */
#ifndef BP_SOLVING_H
#define BP_SOLVING_H

#include "core/base/poll.h"
#include "core/data/arrays.h"

/* What one iteration left behind, in the order of a row of bp_solving.record: an enumerator and its
 * name. An iteration that found no better point is recorded with a step of 0. */
#define BP_EACH_SOLVED(FIGURE)                                                                     \
    FIGURE(BP_SOLVED_LOSS, "loss") /* C after the iteration */                                     \
    FIGURE(BP_SOLVED_ACCURACY, "accuracy")                                                         \
    FIGURE(BP_SOLVED_VALIDATION_LOSS, "validation_loss") /* NaN without validation data */         \
    FIGURE(BP_SOLVED_VALIDATION_ACCURACY, "validation_accuracy")                                   \
    FIGURE(BP_SOLVED_GRADIENT, "gradient_norm") /* |∂C/∂w| after it, penalties included */         \
    FIGURE(BP_SOLVED_DAMPING, "damping")        /* of the step taken; NaN for L-BFGS */            \
    FIGURE(BP_SOLVED_STEP, "step")              /* how far the parameters moved, 2-norm */         \
    FIGURE(BP_SOLVED_EFFECTIVE, "effective_parameters") /* NaN unless Bayesian */                  \
    FIGURE(BP_SOLVED_EVIDENCE, "log_evidence")          /* likewise */                             \
    FIGURE(BP_SOLVED_EVALUATIONS, "evaluations") /* of C; that before the first is the first's */  \
    FIGURE(BP_SOLVED_SECONDS, "seconds")

#define BP_ENUMERATOR(enumerator, name) enumerator,
enum bp_solved_figure { BP_EACH_SOLVED(BP_ENUMERATOR) BP_SOLVED_FIGURES };
#undef BP_ENUMERATOR

/* Why it ended: an enumerator, and its name for users. */
#define BP_EACH_END(END)                                                                           \
    END(BP_END_EPOCHS, "epochs")     /* all iterations asked for are done, or the budget is */     \
    END(BP_END_TARGET, "target")     /* C is at most the target */                                 \
    END(BP_END_GRADIENT, "gradient") /* no entry of the gradient is above the tolerance */         \
    END(BP_END_SETTLED, "settled")   /* the Bayesian penalties are found, and the parameters rest */ \
    END(BP_END_STALLED, "stalled")   /* no better point was found */

#define BP_ENUMERATOR(enumerator, name) enumerator,
enum bp_end { BP_EACH_END(BP_ENUMERATOR) BP_ENDS };
#undef BP_ENUMERATOR

/* The last `count` moves s of the parameters and changes y of the gradient; the next pair goes to
 * place `next`, and the others lie before it, in a ring. */
struct bp_lbfgs {
    size_t memory; /* pairs there is room for */
    double *pairs; /* [memory][2][parameters]: s, then y */
    size_t count, next;
};

/* What the Bayesian way remembers: evidence.h. Its λ stand beside Σ r², one a group of parameters. */
enum bp_stage { BP_NOT_BEGUN, BP_ONE_PENALTY, BP_RELEVANCE, BP_SETTLED };
struct bp_bayes {
    double effective, log_evidence; /* γ and ln p(y) when the λ were last weighed; 0 before */
    enum bp_stage stage;
    size_t waited; /* how often they were weighed without a gain, or a change */
    double *penalties;                        /* λ, [bp_groups] */
    double kept_effective, kept_log_evidence; /* of the best so far, */
    double *kept_penalties, *kept;            /* its λ and its parameters */
    size_t residuals; /* that there are: samples times outputs, without missing targets */
};

/* Groups of parameters with a λ each: the first layer's weights from each input, the other layers'
 * weights, each layer's biases. */
static inline size_t
bp_groups(const struct bp_network *net)
{
    return net->layers[0].inputs + 2 * net->count - 1;
}

struct bp_levenberg {
    double damping;   /* of the next step; 0: it follows from the first J */
    bool accelerated; /* by the second derivatives along the step */
    struct bp_bayes *bayes; /* or NULL: the penalties are the layers' */
};

/* When to end before all iterations are done. */
struct bp_limits {
    double gradient; /* the largest entry of ∂C/∂w */
    double target;   /* C; -INFINITY for none */
    double budget;   /* seconds */
};

struct bp_solving {
    const struct bp_network *net; /* in whose precision everything is computed; no dropout, no l1.
                                     What is frozen or masked is no part of the problem */
    bp_real *parameters;          /* [bp_room], storage order: from here, and to here */
    bool single;                  /* they are those of a network of float32: points are rounded */
    struct bp_data data;
    const struct bp_data *validation; /* or NULL */
    size_t threads, iterations;
    struct bp_lbfgs *lbfgs; /* one of the two; the other is NULL */
    struct bp_levenberg *levenberg;
    struct bp_limits limits;
    struct bp_poll poll;
    struct bp_poll after; /* asked once an iteration's row is written; true ends training */
    double *record; /* (iterations, BP_SOLVED_FIGURES) */
    /* results */
    size_t done; /* iterations */
    enum bp_end end;
    size_t bad_layer; /* for BP_DIVERGED: counted from 0 */
};

#endif
