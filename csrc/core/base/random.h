/* random.h: random numbers, and a random order. Depends on libc only. */
#ifndef BP_RANDOM_H
#define BP_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Where random numbers come from: 32 fresh bits a call. */
struct bp_random {
    uint32_t (*next)(void *);
    void *state;
};

/* order[0 ... count - 1] becomes a fresh order of 0 ... count - 1, each equally likely. */
void bp_shuffle(const struct bp_random *, size_t count, uint32_t *order);

#endif
