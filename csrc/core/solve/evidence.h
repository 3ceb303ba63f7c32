/* evidence.h: how much each layer's parameters are to be penalized, by the data themselves
 * (D. J. C. MacKay, "A practical Bayesian framework for backpropagation networks", Neural
 * Computation 4, 1992; F. D. Foresee and M. T. Hagan, "Gauss-Newton approximation to Bayesian
 * learning", 1997). With D = λ for each layer's parameters, and N residuals,
 *
 *   γ = Σ (1 - λ diag (JᵀJ + D)⁻¹)        λ = γ of its weights / Σw² · Σr² / (N - all γ)
 *
 * Depends on solving.h. */
#ifndef BP_EVIDENCE_H
#define BP_EVIDENCE_H

#include "solving.h"

/* The next λ and γ, from parameters w, Σ r² and the diagonal of (JᵀJ + D)⁻¹, all [parameters]; NULL
 * where there is no J yet: all parameters then count. free: which of them move, or NULL for all; no
 * others count. A layer of which no weight moves has no penalty. */
void
bp_find_penalties(const struct bp_network *, struct bp_levenberg *, const unsigned char *free,
                  const double *w, double errors, const double *diagonal);

/* D, [parameters] */
void
bp_spread_penalties(const struct bp_network *, const double *penalties, const unsigned char *free,
                    double *of_parameters);

#endif
