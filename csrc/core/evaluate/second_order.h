/* second_order.h: how the gradient changes in a direction. Depends on passes/ and jacobian.h. */
#ifndef BP_SECOND_ORDER_H
#define BP_SECOND_ORDER_H

#include "core/passes/pass.h"

/* product [bp_room] = H direction, H being the matrix of second derivatives of C, exact but for
 * rounding; at a kink, where there are none, those of one side. Of a network without custom
 * functions. Takes parameters [bp_room] in storage order, runs on the caller's thread, and does as
 * many rows at a time as the workspaces have room for. ws, moved: with BP_KEEP_Z, and the same
 * rows; ws: with BP_MASK where the data have a mask; direction:
 * [bp_room], 0 where weights are masked. */
void
bp_hessian_vector(const struct bp_network *, struct bp_workspace *ws, struct bp_workspace *moved,
                  const bp_real *parameters, const struct bp_data *, const bp_real *direction,
                  bp_real *product);

#endif
