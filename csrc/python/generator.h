/* generator.h: random numbers from NumPy's bit generators. Depends on module.h and core/base/random.h. */
#ifndef BP_GENERATOR_H
#define BP_GENERATOR_H

#include "module.h"

#include "core/base/random.h"

/* The functions behind NumPy's BitGenerator object, which must outlive `random`, and whose lock the
 * caller holds while it draws. 0, or -1 with an exception. */
int bp_read_bit_generator(PyObject *object, struct bp_random *random);

/* network.rng, locked. As fit does, the lock is taken before bp_enter: two threads that took the two
 * in different orders would wait for each other for ever. */
struct bp_held_generator {
    PyObject *bits, *release; /* the latter a method of its lock */
    struct bp_random random;
};

/* 0, or -1 with an exception. */
int bp_hold_generator(struct bp_held_generator *, PyObject *network);
void bp_release_generator(struct bp_held_generator *); /* nothing for one of zeros */

#endif
