#define _DEFAULT_SOURCE /* madvise */
#include "memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { CACHE_LINE = 64, HUGE_PAGE = 1 << 21 };

static atomic_size_t blocks, refused_in; /* requests until the one that is refused, or 0 */

void
bp_refuse_request(size_t n)
{
    atomic_store(&refused_in, n);
}

bool
bp_granted(void)
{
    size_t left = atomic_load_explicit(&refused_in, memory_order_relaxed);
    while (left > 0)
        if (atomic_compare_exchange_weak(&refused_in, &left, left - 1))
            return left > 1;
    return true;
}

size_t
bp_blocks(void)
{
    return atomic_load(&blocks);
}

void *
bp_allocate(size_t size)
{
    const size_t unit = size >= HUGE_PAGE ? HUGE_PAGE : CACHE_LINE;
    if (!bp_granted() || size > SIZE_MAX - unit)
        return NULL;
    const size_t whole = size == 0 ? unit : (size + unit - 1) / unit * unit;
    void *memory = aligned_alloc(unit, whole);
    if (!memory)
        return NULL;
#if defined(__linux__)
    if (unit == HUGE_PAGE)
        (void)madvise(memory, whole, MADV_HUGEPAGE); /* only a wish: small pages serve as well */
#endif
    memset(memory, 0, size);
    atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    return memory;
}

void
bp_free(void *memory)
{
    if (memory)
        atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    free(memory);
}
