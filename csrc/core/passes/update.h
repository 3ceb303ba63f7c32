/* update.h: ∂C/∂w_jk = Σ_n delta_j a_k, and what is done with it. Depends on sums.h and network/.
 */
#ifndef BP_UPDATE_H
#define BP_UPDATE_H

#include "core/network/optimizer.h"
#include "sums.h"

/* What backward does with ∂C/∂w = Σ_n delta_j a_k. */
struct bp_update {
    enum {
        BP_NO_GRADIENT,
        BP_DESCEND, /* w += Σ: a plain step, -rate being in the delta */
        BP_STORE,   /* gradient = Σ, or += with `add` */
        BP_OPTIMIZE /* an optimizer's rule */
    } what;
    bool add, zeros; /* for BP_STORE; the gradient is all zeros already */
    struct bp_vector gradient;            /* for BP_STORE */
    const struct bp_optimizer_step *rule; /* for BP_OPTIMIZE */
    bp_real *const *state;                /* for BP_OPTIMIZE, BP_STATES vectors as the parameters */
    bool moving; /* leaves out what is frozen, and what only that needs: it is not written */
    bool lazy;   /* for BP_OPTIMIZE: columns of a sparse x that do not occur stay */
    bool inputs;                          /* leaves ∂C/∂x in ws->dC_dx */
};

/* This thread's places for a gradient that is used at once, bp_gradient_chunk numbers each: 0, and two
 * for its sum. */
bp_real *
bp_gradient_chunk_of(const struct bp_pass *, size_t i);

/* The gradient of w_jk of layer l for j = first ... first + columns - 1, the first of a panel, and for
 * `count` inputs, at most BP_GRADIENT_ROWS: of k[i] at numbers + i row. A row is whole panels. */
struct bp_gradient_rows {
    size_t l, first, columns, count;
    const size_t *k;
    bp_real *numbers;
    size_t row;
};

/* Masks, penalties and the optimizer's rule on these weights; the gradient is changed. */
void
bp_optimize_rows(const struct bp_pass *, const struct bp_gradient_rows *, const struct bp_update *);

/* The bias of layer l in panels [first, last) */
void
bp_update_bias(const struct bp_pass *, size_t l, size_t first, size_t last,
               const struct bp_update *);

/* Panels of inputs k and of outputs j: a part of a layer's weights. */
struct bp_part {
    size_t k_first, k_last, j_first, j_last;
};

/* A part of layer l's weights. For the first layer it also fetches what the pass asks for. */
void
bp_update_weights(const struct bp_pass *, size_t l, const struct bp_part *,
                  const struct bp_update *);

/* The update alone: this thread's share of part i of `parts` of each layer, nodes j and rows k of
 * W, from x and every a and delta in ws. Then bp_meet(). */
void
bp_update_part(const struct bp_pass *, size_t parts, size_t i, const struct bp_update *);

#endif
