/* order.h: in which order the samples of an epoch are trained on. Depends on dropout.h. */
#ifndef BP_ORDER_H
#define BP_ORDER_H

#include "dropout.h"

/* order[0 ... count - 1] becomes a fresh order of 0 ... count - 1, each equally likely. */
void bp_shuffle(const struct bp_random *, size_t count, uint32_t *order);

#endif
