/* core.h: on which of the processor's cores a thread runs. Where the system does not tell, nothing is done.
 * Depends on nothing. */
#ifndef BP_CORE_H
#define BP_CORE_H

/* The core that the calling thread is on, or -1. */
int bp_core_now(void);

/* Moves the calling thread to another core where it is on that one and may run on others, too. Where it may run stays
 * as it was. */
void bp_leave_core(int core);

#endif
