/* pace.h: how many threads are worth their while just now. Another program may take a core away, and
 * a step may be too short to share: then fewer threads are faster, and the bits are the same. Where
 * programs share the cores already, more threads may be faster, at the cost of all the others: then
 * fewer are right, without a try.
 * Depends on libc only. */
#ifndef BP_PACE_H
#define BP_PACE_H

#include <stdbool.h>
#include <stddef.h>

/* numbers of threads that are tried: 1, 2, 4, ..., and all */
enum { BP_PACE_LEVELS = 65 };

/* What is known of a number of threads. */
struct bp_pace_level {
    double usual; /* seconds a step, of late; 0: not known */
    double best;  /* the least of late */
};

/* Tries of the next lower level, or of the next higher one */
struct bp_pace_tries {
    double patience; /* seconds that the level is kept between two of them */
    double since;    /* seconds since the last one */
    bool tried;      /* there was one */
};

/* Training goes in windows of some steps. All zeros before bp_pace_begin. */
struct bp_pace {
    size_t most;           /* threads */
    size_t threads, steps; /* of the next window */
    size_t level, now;     /* the best one as far as is known; that of the next window */
    bool warming;          /* the next window wakes threads and fills caches: its time says nothing */
    double elapsed, foreseen; /* seconds */
    double tried; /* seconds on tries that failed, the processor time of all threads */
    double gave_way; /* the last time that cores were crowded; then no try of more for so many seconds */
    struct bp_pace_tries down, up;
    struct bp_pace_level levels[BP_PACE_LEVELS];
};

/* Chooses the first window: of `first` threads, of `most` at most. */
void
bp_pace_begin(struct bp_pace *, size_t most, size_t first);

/* What a window took. */
struct bp_pace_window {
    double seconds;
    double waited;   /* what part of them each thread but one spent waiting for the others */
    bool crowded;    /* other programs want thread 0's core */
};

/* Chooses the next window after the last one; `left`: the steps that are left, 0 where nobody knows. */
void
bp_pace_next(struct bp_pace *, struct bp_pace_window last, double left);

#endif
