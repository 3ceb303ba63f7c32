/* generator.h: random numbers from NumPy's bit generators. Depends on module.h and core/dropout.h. */
#ifndef BP_GENERATOR_H
#define BP_GENERATOR_H

#include "module.h"

#include "core/dropout.h"

/* The functions behind NumPy's BitGenerator object, which must outlive `random`, and whose lock the
 * caller holds while it draws. 0, or -1 with an exception. */
int bp_read_bit_generator(PyObject *object, struct bp_random *random);

/* Keys for one batch, drawn from network.rng under its lock; keys: one for each layer. */
int bp_draw_keys_of(PyObject *network, const struct bp_network *, uint64_t *keys);

#endif
