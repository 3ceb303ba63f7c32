/* second_order.h: the derivatives of all outputs, and how the gradient changes in a direction.
 * Depends on passes/. Both take parameters [bp_room] in storage order, run on the caller's thread,
 * and do as many rows at a time as the workspace has room for. */
#ifndef BP_SECOND_ORDER_H
#define BP_SECOND_ORDER_H

#include "core/passes/pass.h"

/* out[n][j][k] = ∂a_j^(L)/∂x_k of sample n, plain: a backward pass for each output.
 * ws: with BP_INPUT_GRADIENT. */
void
bp_jacobian(const struct bp_network *, struct bp_workspace *ws, const bp_real *parameters,
            const struct bp_data *, bp_real *out);

/* product [bp_room] = H direction, H being the matrix of second derivatives of C, exact but for
 * rounding; at a kink, where there are none, those of one side. Of a network without custom
 * functions. ws, moved: with BP_KEEP_Z, and the same rows; direction: [bp_room]. */
void
bp_hessian_vector(const struct bp_network *, struct bp_workspace *ws, struct bp_workspace *moved,
                  const bp_real *parameters, const struct bp_data *, const bp_real *direction,
                  bp_real *product);

#endif
