/* ranks.h: what ranks.c, which leads the steps of several processes, and shared.c, for those that
 * have memory in common, know of each other. Depends on run.h. */
#ifndef BP_RANKS_H
#define BP_RANKS_H

#include "run.h"

/* What the ranks tell each other, as sums over them; in the order of run.together. */
enum bp_word {
    BP_STOPPED, /* asked to */
    BP_LOST,    /* cannot go on: its numbers are of no use */
    BP_ROWS,
    BP_WEIGHT, /* of the rows */
    BP_WORDS,
};

/* ranks.c, thread 0 */

/* What this rank has to tell about its rows. */
void bp_ranks_say(struct run *, struct bp_rows, double words[BP_WORDS]);

/* Draws the consequences of what all ranks said, run->together; before a meeting. */
void bp_ranks_heed(struct run *);

/* shared.c, where t->ranks->shared is */

/* Whether all ranks' x, a and delta are what lies there, and no gradient. */
bool bp_shares_rows(const struct bp_network *, const struct bp_ranks *);

/* Every thread: this rank's rows of x, a and delta past its first `count` are 0. */
void bp_clear_shared_rows(const struct worker *, size_t count);

/* Thread 0: returns when the gradients, or rows, of all ranks are there, and what they told. */
void bp_shared_gather(struct run *, struct bp_rows);

/* Thread 0: returns when all ranks have come, and see what all have written. */
void bp_shared_meet(struct run *);

/* This thread's share of this rank's share of the step, by the optimizer's rule, or `direct`: -rate is in the delta */
void bp_shared_step(const struct worker *, bool direct, const struct bp_optimizer_step *);

#endif
