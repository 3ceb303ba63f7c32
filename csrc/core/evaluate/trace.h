/* trace.h: every number of a pass. Depends on passes/. Takes parameters
 * [bp_room] in storage order and runs on the caller's thread. */
#ifndef BP_TRACE_H
#define BP_TRACE_H

#include "core/passes/pass.h"

/* One layer's part of a trace, (n, nodes) each; da_dz (n, nodes, nodes) for softmax. The last
 * three are NULL where there are no targets. */
struct bp_trace {
    bp_real *z, *a, *dC_da, *da_dz, *dC_dz;
};

/* trace: one per layer. ws: with BP_KEEP_Z. */
void
bp_trace(const struct bp_network *, struct bp_workspace *ws, const bp_real *parameters,
         const struct bp_data *, bool targets, const struct bp_trace *trace);

#endif
