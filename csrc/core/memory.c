#define _DEFAULT_SOURCE /* madvise */
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#define aligned_alloc(unit, size) _aligned_malloc(size, unit)
#define free _aligned_free
#endif

enum { CACHE_LINE = 64, HUGE_PAGE = 1 << 21 };

void *
bp_allocate(size_t size)
{
    const size_t unit = size >= HUGE_PAGE ? HUGE_PAGE : CACHE_LINE;
    if (size > SIZE_MAX - unit)
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
    return memory;
}

void
bp_free(void *memory)
{
    free(memory);
}
