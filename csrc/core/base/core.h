/* core.h: on which of the processor's cores threads run. Linux often begins a thread on the core of the one that made it,
 * and in a virtual machine, where an idle core counts as taken, wakes it on the core of the one that wakes it. Two that work
 * together are then no faster than one, until the system separates them after tens of milliseconds.
 * Where the system does not tell, nothing is done. Depends on POSIX threads only. */
#ifndef BP_CORE_H
#define BP_CORE_H

#include <pthread.h>

/* Moves a thread that was just made off the caller's core, where it may run on others too. Where it may run
 * stays as it was. */
void bp_begin_elsewhere(pthread_t);

/* a thread that sleeps */
struct bp_stay {
    int core;                   /* on which it is to wake, or -1: the system chooses */
    unsigned char allowed[128]; /* the cores on which it may run */
};

/* The calling thread is about to sleep, and is to wake on the core that it is on. */
void bp_stay(struct bp_stay *);

/* It is awake: it may run where it might before, unless somebody else changed that meanwhile. */
void bp_may_move(const struct bp_stay *);

#endif
