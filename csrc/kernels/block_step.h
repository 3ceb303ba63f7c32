/* block_step.h: steps of many networks of one shape, side by side, as kernels.h takes them.
 * Depends on names.h and libc. */
#ifndef BP_BLOCK_STEP_H
#define BP_BLOCK_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "names.h"

/* A number of the table's precision: float or double. */
typedef void bp_real;

enum { BP_STATES = 2 }; /* vectors that a rule remembers, at most */

/* The numbers of a step as the formulas use them, in the table's precision. */
enum {
    BP_RATE_OF_RULE, /* Adam's divided by correction_1 */
    BP_KEPT_OF_RULE, /* 1 - rate decay, for adamw */
    BP_DECAY_OF_RULE,
    BP_SCALE_OF_RULE,
    BP_LIMIT_OF_RULE,
    BP_MOMENTUM_OF_RULE,
    BP_BETA_2_OF_RULE,
    BP_NEW_1_OF_RULE, /* 1 - beta_1 */
    BP_NEW_2_OF_RULE, /* 1 - beta_2 */
    BP_ROOT_OF_RULE,  /* 1 / sqrt(correction_2) */
    BP_EPSILON_OF_RULE,
    BP_RULE_NUMBERS,
};

/* Many networks of one shape, one a lane: `group` numbers side by side, vectors * lanes of them, one
 * of each network, wherever one number lies elsewhere. */
struct bp_block_layer {
    size_t inputs, outputs;
    size_t row; /* nodes from one sample, or one row of W, to the next: at least outputs */
    enum bp_activation activation;
    bp_real *penalties; /* [2][group]: l1, then l2; NULL where no network has any */
    size_t weights_at, bias_at; /* nodes into parameters: W [inputs][row], then bias [outputs] */
    bool bias;
    bp_real *z, *a, *delta; /* [samples][row][group]; z may be a where nothing asks for it */
};

struct bp_block_step {
    size_t vectors; /* 1, or BP_BLOCK_VECTORS times 1 or 2 */
    size_t count;   /* of layers */
    const struct bp_block_layer *layers;
    bp_real *parameters, *state[BP_STATES]; /* [nodes][group]; no state: NULL */
    enum bp_loss loss;
    bool fused;
    struct {
        const bp_real *x; /* [samples][inputs], or with `own` [samples][inputs][group] */
        const bp_real *y; /* [samples][outputs][group] */
        bool own;
        const double *weights; /* [samples][group], or NULL for 1 each */
    } data;
    struct {
        const bp_real *factors; /* [samples][group]: what delta is multiplied by */
        size_t factors_row;     /* group, or 0 where they are the same for all samples */
        bool plain;             /* w += Σ; else a rule's step */
        bool begins, ends;      /* of a step in parts: whether this is its first, and its last one */
        bp_real *gradient;      /* [nodes][group]: Σ over the parts so far, or NULL for whole steps */
        bool nesterov;
        enum bp_rule rule;
        const bp_real *numbers; /* [BP_RULE_NUMBERS][group] */
    } step;
    struct {
        double *loss;   /* [group]: Σ weight C_0 is added, of all samples of a call at once */
        double *step;   /* [group]: of the parts of a step so far */
        int64_t *right; /* [group]: samples that are classified right are added; or NULL */
    } sums;
    bp_real *scratch; /* bp_block_scratch numbers */
};

enum { BP_BLOCK_VECTORS = 4, BP_MOST_BLOCK_VECTORS = 2 * BP_BLOCK_VECTORS };

#endif
