/* memory.h: the one place the core takes memory from. Depends on libc only. */
#ifndef BP_MEMORY_H
#define BP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* `size` bytes of zeros that begin on a cache line, or NULL; in huge pages where it is large. */
void *bp_allocate(size_t size);

void bp_free(void *memory);

/* For tests: the n-th request from now on is refused, and no other; none with 0. Two counters, the only
 * global state of the core, are behind it. Nothing is requested inside a step, so nothing is slower. */
void bp_refuse_request(size_t n);

/* What every request for memory, or for a thread, asks first: false for the one that a test refuses. */
bool bp_granted(void);

/* Blocks that have been allocated and not freed. */
size_t bp_allocations(void);

#endif
