/* losses.h: C_0 of each sample, and whether its class is right. Depends on pass.h. */
#ifndef BP_LOSSES_H
#define BP_LOSSES_H

#include "pass.h"

/* ws->losses, and ws->classes and ws->wanted from a and y of the last layer. Then bp_meet(). */
void
bp_losses(const struct bp_pass *);

#endif
