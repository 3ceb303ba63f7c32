/* outputs.h: outputs, classes and losses of samples. Depends on passes/. */
#ifndef BP_OUTPUTS_H
#define BP_OUTPUTS_H

#include "core/passes/pass.h"

/* Where results of n samples go, plain matrices in the network's precision; NULL for what is not
 * wanted. The last three need targets. */
struct bp_results {
    bp_real *outputs; /* (n, outputs) */
    int64_t *classes; /* (n,) */
    double *losses;   /* (n,), w_n C_0 */
    double total;     /* Σ w_n C_0 over the samples */
    double weight;    /* Σ w_n */
    size_t samples;
    size_t right; /* samples whose class is the wanted one, whatever their weight */
    /* NULL, or asked on thread 0 between rows; true sets *stop, which the team shares, and ends
     * the evaluation unfinished */
    bool (*poll)(void *context);
    void *context;
    bool *stop;
};

/* As many rows at a time as pass->ws has room for; pass->dropout->place is that of the first row, and pass->rows is
 * changed. Every thread of pass->team calls it with a `results` of its own, of which each gets all of the sums; the
 * arrays may be shared. */
void
bp_evaluate(struct bp_pass *, const struct bp_data *, bool targets, struct bp_results *);

#endif
