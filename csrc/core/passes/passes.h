/* passes.h: forward and backward through a network, on one batch.
 * Depends on workspace.h, data/, network/ and base/.
 *
 * Every thread of a team calls these functions with the same arguments but `me`; each does its
 * share. A result is complete after the next bp_meet(). The bits do not depend on the number of
 * threads, nor on how samples are grouped into batches.
 */
#ifndef BP_PASSES_H
#define BP_PASSES_H

#include "core/data/arrays.h"
#include "core/network/dropout.h"
#include "core/base/team.h"
#include "workspace.h"

struct bp_pass {
    const struct bp_network *net;
    struct bp_workspace *ws;
    struct bp_vector parameters;
    struct bp_team *team;
    size_t me, threads;
    size_t rows; /* of this batch, at most ws->rows */
    const struct bp_dropout *dropout; /* while training; NULL leaves out nothing */
    bool masked; /* some targets are missing, as data.mask says; ws: with BP_MASK */
    /* rows of the next batch that bp_backward asks for, and bytes of a number in them */
    const char *const *ahead;
    size_t ahead_rows, ahead_bytes;
};

/* What backward does with ∂C/∂w = Σ_n delta_j a_k. */
struct bp_update {
    enum {
        BP_NO_GRADIENT,
        BP_DESCEND, /* w += Σ: a plain step, -rate being in the delta */
        BP_STORE,   /* gradient = Σ, or += with `add` */
        BP_OPTIMIZE /* an optimizer's rule, on packed parameters */
    } what;
    bool add;                              /* for BP_STORE */
    struct bp_vector gradient;             /* for BP_STORE */
    const struct bp_optimizer_step *rule;  /* for BP_OPTIMIZE */
    bp_real *const *state;                 /* for BP_OPTIMIZE, BP_STATES packed vectors */
    bool inputs;                           /* leaves ∂C/∂x in ws->dC_dx */
};

/* ws->x and ws->y from rows of the data; y may be left out. Then bp_meet(). */
void bp_load_batch(const struct bp_pass *, const struct bp_data *, struct bp_rows, bool targets);

/* Asks for the thread's share of the rows that will be loaded next. */
void bp_fetch_batch(const struct bp_pass *, const struct bp_data *, struct bp_rows next);

/* Has bp_backward of this batch ask for them, bit by bit, where it can. */
void bp_fetch_in_backward(struct bp_pass *, const struct bp_data *, struct bp_rows next);

/* a^(l) = g(W a^(l-1) + b) for every layer, from ws->x. The last layer is complete after
 * bp_meet(). */
void bp_forward(const struct bp_pass *);

/* ws->losses, and ws->classes and ws->wanted from a and y of the last layer. Then bp_meet(). */
void bp_losses(const struct bp_pass *);

/* delta of the last layer from its dC_da, which the caller has set. Then bp_meet(). */
void bp_delta_of_outputs(const struct bp_pass *);

/* delta of the last layer, row n multiplied by ws->factors[n]. Then bp_meet(). */
void bp_output_delta(const struct bp_pass *);

/* Carries delta back through all layers and does the update. Then bp_meet(). */
void bp_backward(const struct bp_pass *, const struct bp_update *);

/* The update alone, of part i of `parts` of each layer, from x and every a and delta in ws. Then bp_meet(). */
void bp_update_part(const struct bp_pass *, size_t parts, size_t i, const struct bp_update *);

#endif
