/* memory.h: the one place the core takes memory from. Depends on libc only. */
#ifndef BP_MEMORY_H
#define BP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `count` times `size` bytes of zeros that begin on a cache line, or NULL where there are not as many; in huge
 * pages where they are many. */
void *bp_allocate(size_t count, size_t size);

/* a * b, or SIZE_MAX where that does not fit, which no request is granted: what any size of memory is
 * multiplied with. tests/structure/test_structure.py looks for those that are not. */
static inline size_t
bp_size_product(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

/* a + b, likewise */
static inline size_t
bp_size_sum(size_t a, size_t b)
{
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

void bp_free(void *memory);

/* For tests: the n-th request from now on is refused, and no other; none with 0. Two counters, the only
 * global state of the core, are behind it. Nothing is requested inside a step, so nothing is slower. */
void bp_refuse_request(size_t n);

/* What every request for memory, or for a thread, asks first: false for the one that a test refuses. */
bool bp_granted(void);

/* Blocks that have been allocated and not freed. */
size_t bp_allocations(void);

#endif
