/* pace.h: whether a team is worth its while just now. Another program may take a core away, and a
 * step may be too short to share: then one thread alone is faster, and the bits are the same.
 * Depends on libc only. */
#ifndef BP_PACE_H
#define BP_PACE_H

#include <stdbool.h>
#include <stddef.h>

/* Training goes in windows of some steps, each done by the team or by one thread alone. All zeros
 * before the first. */
struct bp_pace {
    bool alone;   /* the next window */
    bool after_alone; /* it follows one of one thread, whose waits are counted in it */
    size_t steps; /* of it */
    /* seconds a step, of the last window of either kind; of the fastest by the team */
    double team, solo, best_team;
    size_t windows;     /* so far */
    bool late;          /* some thread lets the others wait */
    size_t until_probe; /* windows until the other kind is tried again */
    size_t patience;    /* windows between two tries of the team */
};

/* Chooses the next window, `seconds` being what the last one took, and `waited` what part of it each
 * thread but one spent waiting for the others. */
void bp_pace_next(struct bp_pace *, double seconds, double waited);

#endif
