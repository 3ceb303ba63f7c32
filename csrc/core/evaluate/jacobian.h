/* jacobian.h: J = ∂a^(L)/∂x of each sample, whole, from the left, u^T J, and from the right, J v.
 * Depends on passes/. All take parameters [bp_room] in storage order, run on the caller's thread,
 * and do as many rows at a time as the workspace has room for. */
#ifndef BP_JACOBIAN_H
#define BP_JACOBIAN_H

#include "core/passes/pass.h"

/* out[n][j][k] = ∂a_j^(L)/∂x_k of sample n, plain: a backward pass for each output.
 * ws: with BP_INPUT_GRADIENT. */
void
bp_jacobian(const struct bp_network *, struct bp_workspace *ws, const bp_real *parameters,
            const struct bp_data *, bp_real *out);

/* out[n][k] = Σ_j u_j ∂a_j^(L)/∂x_k of sample n, plain: a backward pass. The data's derivatives are
 * u. ws: with BP_INPUT_GRADIENT. */
void
bp_vector_jacobian(const struct bp_network *, struct bp_workspace *ws, const bp_real *parameters,
                   const struct bp_data *, bp_real *out);

/* out[n][j] = Σ_k ∂a_j^(L)/∂x_k v_k of sample n, plain: two forward passes. v: of x's shape. ws,
 * moved: with BP_KEEP_Z, and the same rows. */
void
bp_jacobian_vector(const struct bp_network *, struct bp_workspace *ws, struct bp_workspace *moved,
                   const bp_real *parameters, const struct bp_data *, const struct bp_array *v,
                   bp_real *out);

/* How fast layer l's z moves where `a`, which it reads, moves so fast: z' = W a' in `moved`, plus
 * the bias of `weights`, or with `resume` what is there. */
void
bp_move_sums(const struct bp_pass *, const struct bp_workspace *moved, size_t l, const bp_real *a,
             struct bp_weights weights, bool resume);

/* How fast layer l's a moves where its z does: a' = ∂a/∂z z', in `moved`. */
void
bp_move_activations(const struct bp_pass *, const struct bp_workspace *moved, size_t l);

#endif
