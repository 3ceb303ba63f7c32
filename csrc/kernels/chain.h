/* chain.h: whole steps of the smallest networks, a sample each, as kernels.h takes them.
 * Depends on block_step.h, names.h and libc. */
#ifndef BP_CHAIN_H
#define BP_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block_step.h"
#include "names.h"

/* A layer at most a panel wide; P numbers of each, pads included. */
struct bp_link {
    size_t inputs, outputs;
    enum bp_activation activation;
    bp_real *w;      /* [inputs][P] */
    bp_real *turned; /* [outputs][P], the same weights; NULL for the first link, which may have
                        more than P inputs */
    bp_real *bias;   /* [P] or NULL */
    bp_real *w_state[BP_STATES], *bias_state[BP_STATES]; /* like w and bias; NULL without a state */
    bp_real *z, *a, *delta; /* of a sample */
};

struct bp_chain {
    size_t count, widest; /* links; most outputs of any */
    const struct bp_link *links;
    enum bp_loss loss;
    bool fused;
    const bp_real *x, *y; /* panels of [rows][P]: y one of them, x `stride` apart */
    size_t stride;
    const uint32_t *order; /* rows of x and y, [samples]; NULL for the first ones */
    struct {               /* of each sample, before its step; as classify says of a and y */
        double *losses;
        int64_t *classes, *wanted;
    } of;
    struct {
        enum bp_rule rule;
        bool nesterov;
        bp_real *numbers; /* [samples][BP_RULE_NUMBERS], or NULL for plain descent */
    } by;
};

#endif
