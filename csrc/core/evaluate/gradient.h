/* gradient.h: ∂C/∂w and ∂C/∂x, averaged, Σ w_n ∂C_0/∂w / Σ w_n, or of each sample, w_n ∂C_0/∂w;
 * C_0 is NaN where the data have derivatives in the place of targets. Depends on passes/. Takes
 * parameters [bp_room] in storage order and runs on the caller's thread; unfinished where ws->scratch.watch stopped it. */
#ifndef BP_GRADIENT_H
#define BP_GRADIENT_H

#include "core/passes/pass.h"

/* ∂C/∂w of the mean loss into gradient [bp_room], zeros before, storage order, ∂C/∂x, averaged, into
 * inputs (inputs,), and C. ws: with BP_INPUT_GRADIENT, unless x is sparse, and with room for whole
 * groups of bp_grouping_of all rows. */
double
bp_gradient(const struct bp_network *, struct bp_workspace *ws, const bp_real *parameters,
            const struct bp_data *, bp_real *gradient, bp_real *inputs);

/* The same for each sample: gradient (n, parameters), zeros before, inputs (n, inputs), losses
 * (n,). * ws: with BP_INPUT_GRADIENT. */
void
bp_gradient_per_sample(const struct bp_network *, struct bp_workspace *ws,
                       const bp_real *parameters, const struct bp_data *, bp_real *gradient,
                       bp_real *inputs, double *losses);

#endif
