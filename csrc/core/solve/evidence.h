/* evidence.h: how much parameters are to be penalized, by the data themselves (D. J. C. MacKay, "A
 * practical Bayesian framework for backpropagation networks", Neural Computation 4, 1992; F. D. Foresee
 * and M. T. Hagan, "Gauss-Newton approximation to Bayesian learning", 1997). The weights of each layer
 * have a λ, and the biases of each but the last, which has none, as a constant added to y is to cost
 * nothing. With D these λ, A = JᵀJ + D, N residuals and γ the Σ over a group or over all:
 *
 *   γ = Σ (1 - D diag A⁻¹)          σ² = Σr² / (N - γ)          λ = σ² γ of the group / its Σw²
 *
 *   ln p(y) = -(Σr² + Σ D w²) / 2σ² - ½ ln |A| + ½ Σ ln D - ½ (N - without) ln 2πσ²
 *
 * where Σ ln D is over the parameters that have a penalty, and the others are `without`.
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

/* The first λ of a layer: that of weights as large as its own are, with σ² = Σr² / N. All parameters
 * count as effective. */
void
bp_first_penalties(const struct bp_evidence *, struct bp_levenberg *);

/* γ and ln p(y) with the λ there are, and the next λ. */
void
bp_next_penalties(const struct bp_evidence *, struct bp_levenberg *);

/* D, [parameters] */
void
bp_spread_penalties(const struct bp_evidence *, const struct bp_levenberg *, double *of_parameters);

#endif
