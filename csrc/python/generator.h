/* generator.h: random numbers from NumPy's bit generators. Depends on gil.h, module.h and core/base/random.h. */
#ifndef BP_GENERATOR_H
#define BP_GENERATOR_H

#include "gil.h"
#include "module.h"

#include "core/base/random.h"

/* A BitGenerator to draw from, and its lock. The lock is taken after bp_enter, everywhere: two threads that took the
 * two in different orders would wait for each other for ever. */
struct bp_held_generator {
    PyObject *bits, *acquire, *release; /* the latter two methods of its lock */
    struct bp_gil *gil;
    bool held;
    struct bp_random random;
};

/* Reads the generator. Without `gil` its lock is taken now. With it the lock is taken around every use only, by a
 * thread that has given the GIL up there: functions of the user's that are called in between may draw from it too.
 * 0, or -1 with an exception. */
int bp_hold_generator(struct bp_held_generator *, PyObject *bits, struct bp_gil *gil);
void bp_release_generator(struct bp_held_generator *); /* nothing for one of zeros */

#endif
