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
    bool warming; /* the next window wakes the team and fills its caches: its time says nothing */
    size_t steps; /* of the next window */
    double team, solo;  /* seconds a step, in the last window of either kind; 0: not known */
    size_t windows;     /* so far */
    size_t together;    /* windows of the team since it was last chosen */
    size_t until_probe; /* windows until the other kind is tried */
    size_t patience;    /* windows of one thread between two tries of the team */
};

/* Chooses the next window, `seconds` being what the last one took, and `waited` what part of it
 * each thread but one spent waiting for the others. */
void
bp_pace_next(struct bp_pace *, double seconds, double waited);

#endif
