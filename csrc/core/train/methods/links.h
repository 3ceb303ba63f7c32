/* links.h: a sample a step, for networks whose layers are a panel wide at most: one kernel does the
 * whole step, and many of them. The bits are those of passes/. Depends on run.h. */
#ifndef BP_LINKS_H
#define BP_LINKS_H

#include "core/train/run.h"

/* Whether chain_steps can do this network. */
bool
bp_is_chain(const struct bp_network *);

/* The network as chain_steps wants it, on the run's packed parameters and states and on its workspace;
 * *memory, to be freed with bp_free, holds it. BP_OK or BP_NO_MEMORY. */
enum bp_status
bp_make_chain(const struct run *, struct bp_chain *, void **memory);

/* Once the packed parameters have been changed by someone else: turns W round anew. */
void
bp_turn_chain(const struct bp_network *, const struct bp_chain *);

#endif
