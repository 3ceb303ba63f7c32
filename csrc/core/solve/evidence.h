/* evidence.h: how much parameters are to be penalized, by the data themselves (D. J. C. MacKay, "A
 * practical Bayesian framework for backpropagation networks", Neural Computation 4, 1992, and
 * "Bayesian non-linear modeling for the prediction competition", 1994). With D the λ of the
 * parameters, A = JᵀJ + D, N residuals and γ the Σ over a group or over all:
 *
 *   γ = Σ (1 - D diag A⁻¹)          σ² = Σr² / (N - γ)          λ = σ² γ of the group / its Σw²
 *
 *   ln p(y) = -(Σr² + Σ D w²) / 2σ² - ½ ln |A| + ½ Σ ln D - ½ (N - without) ln 2πσ²
 *             + Σ over the λ that are found of min(0, ½ ln 4π/γ - ln ln 10⁶)
 *
 * where Σ ln D is over the parameters that have a penalty, and the others are `without`. The last
 * line is what each λ costs that could be anywhere in six decades and was found to within √(2/γ).
 *
 * The λ are weighed where the parameters have come to rest, in two stages. First all weights have
 * one, and biases have that of a deviation of √10; it falls by a factor from one that leaves hardly
 * anything to the data, until the evidence has not risen for some. Then, from the best of these, the
 * weights of each input, those of each other layer and the biases of each have their own, which
 * follow the third equation until the evidence rests. It ends with the better of the two. The last
 * biases have none, as a constant added to y is to cost nothing.
 *
 * Depends on solving.h. */
#ifndef BP_EVIDENCE_H
#define BP_EVIDENCE_H

#include "solving.h"

/* What it follows from. */
struct bp_evidence {
    const struct bp_network *net;
    const unsigned char *free; /* [parameters]: which of them move, or NULL for all; no others count */
    const double *w;           /* [parameters] */
    double errors;             /* Σ r² */
    const double *diagonal;    /* of A⁻¹, [parameters]; not needed at first */
    double log_determinant;    /* ln |A|; likewise */
};

/* The first λ; w is kept. */
void
bp_first_penalties(const struct bp_evidence *, struct bp_bayes *);

/* What is to become of the parameters. */
enum bp_verdict { BP_GO_ON, BP_KEEP, BP_GO_BACK }; /* BP_KEEP: they, and their λ, are the best so far */

/* `next`: a copy of what there is, with penalties of its own, becomes γ and ln p(y) with the λ there
 * are, and the next λ. What is kept is left alone. */
enum bp_verdict
bp_next_penalties(const struct bp_evidence *, const struct bp_bayes *, struct bp_bayes *next);

/* D, [parameters] */
void
bp_spread_penalties(const struct bp_evidence *, const double *penalties, double *of_parameters);

#endif
