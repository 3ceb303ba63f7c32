/* open.h: all memory that a training needs, before its first step. Depends on run.h. */
#ifndef BP_OPEN_H
#define BP_OPEN_H

#include "run.h"

/* Decides how what is asked is done, and makes room for it. BP_OK, BP_NO_MEMORY or BP_TOO_LARGE; in
 * any case the run is to be closed. */
enum bp_status
bp_run_open(struct run *, const struct bp_training *, struct bp_trained *);
void
bp_run_close(struct run *);

#endif
