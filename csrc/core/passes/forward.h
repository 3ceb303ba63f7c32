/* forward.h: z = W a_prev + b and a = g(z), layer by layer. Depends on pass.h. */
#ifndef BP_FORWARD_H
#define BP_FORWARD_H

#include "pass.h"

/* a^(l) = g(W a^(l-1) + b) for every layer, from ws->x. The last layer is complete after
 * bp_meet(). */
void
bp_forward(const struct bp_pass *);

#endif
