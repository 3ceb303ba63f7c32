/* evaluate.h: what can be asked of a network without training it, and a single step.
 * Depends on passes/ and network/. */
#ifndef BP_EVALUATE_H
#define BP_EVALUATE_H

#include "core/network/optimizer.h"
#include "core/passes/passes.h"

/* Where results of n samples go, plain matrices in the network's precision; NULL for what is not
 * wanted. The last three need targets. */
struct bp_results {
    bp_real *outputs; /* (n, outputs) */
    int64_t *classes; /* (n,) */
    double *losses;   /* (n,) */
    double total;     /* Σ C_0 over the samples */
    size_t right;     /* samples whose class is the wanted one */
    /* NULL, or asked on thread 0 between rows; true sets *stop, which the team shares, and ends
     * the evaluation unfinished */
    bool (*poll)(void *context);
    void *context;
    bool *stop;
};

/* As many rows at a time as pass.ws has room for. Every thread of pass.team calls it with a
 * `results` of its own, of which each gets all of total and right; the arrays may be shared. */
void bp_evaluate(struct bp_pass pass, const struct bp_data *, bool targets, struct bp_results *);

/* What follows takes parameters [bp_room] in storage order and runs on the caller's thread. */

/* ∂C/∂w of the mean loss into gradient [bp_room], storage order, ∂C/∂x, averaged, into
 * inputs (inputs,), and C. ws: with BP_INPUT_GRADIENT. */
double bp_gradient(const struct bp_network *, struct bp_workspace *ws, const bp_real *parameters,
                   const struct bp_data *, bp_real *gradient, bp_real *inputs);

/* The same for each sample: gradient (n, parameters), inputs (n, inputs), losses (n,). */
void bp_gradient_per_sample(const struct bp_network *, struct bp_workspace *ws,
                            const bp_real *parameters, const struct bp_data *, bp_real *gradient,
                            bp_real *inputs, double *losses);

/* One layer's part of a trace, (n, nodes) each; da_dz (n, nodes, nodes) for softmax. The last
 * three are NULL where there are no targets. */
struct bp_trace {
    bp_real *z, *a, *dC_da, *da_dz, *dC_dz;
};

/* trace: one per layer. ws: with BP_KEEP_Z. */
void bp_trace(const struct bp_network *, struct bp_workspace *ws, const bp_real *parameters,
              const struct bp_data *, bool targets, const struct bp_trace *trace);

/* One step on all samples as one batch; C before it. ws: room for all samples; gradient: [bp_room]
 * numbers, needed unless bp_is_plain; dropout: needed for a network with it. Moves nothing when a
 * custom function fails. */
double bp_step(const struct bp_network *, struct bp_workspace *ws, bp_real *parameters,
               const struct bp_data *, struct bp_optimizer *, bp_real *gradient,
               const struct bp_dropout *);

#endif
