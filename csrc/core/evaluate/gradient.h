/* gradient.h: ∂C/∂w and ∂C/∂x, averaged, Σ w_n ∂C_0/∂w / Σ w_n, or of each sample, w_n ∂C_0/∂w;
 * C_0 is NaN where the data have derivatives in the place of targets. Depends on passes/. Takes
 * parameters [bp_room] in storage order; that of each sample runs on the caller's thread, and is unfinished where
 * ws->scratch.watch stopped it. */
#ifndef BP_GRADIENT_H
#define BP_GRADIENT_H

#include "core/passes/pass.h"

/* Of the mean loss C. */
struct bp_mean_gradient {
    const struct bp_data *data;
    bp_real *gradient; /* [bp_room], zeros before, storage order: ∂C/∂w */
    bp_real *inputs;   /* (inputs,): ∂C/∂x */
    double loss;       /* C */
};

/* The rows that are summed on their own, before they are added to those before them. */
size_t
bp_rows_of_sum(const struct bp_network *, const struct bp_data *);

/* Of no more samples than that. ws: with room for all. */
void
bp_gradient(const struct bp_network *, struct bp_workspace *ws, const bp_real *parameters,
            struct bp_mean_gradient *);

/* Where sums over some rows go. */
struct bp_gradient_sum {
    bp_real *gradient; /* [bp_room] */
    bp_real *deltas;   /* [panels][P]: Σ_n delta of the first layer */
    double *losses;    /* of each row, w_n C_0 */
    bool add;          /* to what is there, but for the losses */
};

/* Sums over these rows, delta being divided by `weight`; as many at a time as pass->ws has room for. */
void
bp_sum_gradient(struct bp_pass *, const struct bp_data *, struct bp_rows, double weight,
                const struct bp_gradient_sum *);

/* ∂C/∂x, averaged, from the sum of the first layer's deltas. */
void
bp_inputs_from_deltas(const struct bp_pass *, const bp_real *deltas, bp_real *inputs);

/* The same for each sample: gradient (n, parameters), zeros before, inputs (n, inputs), losses
 * (n,). * ws: with BP_INPUT_GRADIENT. */
void
bp_gradient_per_sample(const struct bp_network *, struct bp_workspace *ws,
                       const bp_real *parameters, const struct bp_data *, bp_real *gradient,
                       bp_real *inputs, double *losses);

#endif
