#define _DEFAULT_SOURCE /* madvise */
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#define aligned_alloc(unit, size) _aligned_malloc(size, unit)
#define free _aligned_free
#endif

enum { CACHE_LINE = 64, HUGE_PAGE = 1 << 21 };

/* The block that calloc gave begins at the pointer that lies before what the caller got. calloc,
 * since it knows when pages are fresh from the system and zeros already: they are touched first by
 * the thread that uses them, and those that nobody uses are never there. */
void *
bp_allocate(size_t size)
{
    const size_t unit = size >= HUGE_PAGE ? HUGE_PAGE : CACHE_LINE;
    /* whole huge pages, and one for the rest if that fills most of it */
    const size_t whole = size >= HUGE_PAGE ? HUGE_PAGE / 4 : 0;
    if (size > SIZE_MAX - 2 * HUGE_PAGE)
        return NULL;
    char *block = calloc(1, size + whole + unit + sizeof(void *));
    if (!block)
        return NULL;
    char *memory = block + sizeof(void *);
    memory += -(uintptr_t)memory % unit;
    ((void **)memory)[-1] = block;
#if defined(__linux__)
    if (size >= HUGE_PAGE) /* only a wish: small pages serve as well */
        (void)madvise(memory, (size + whole) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return memory;
}

void
bp_free(void *memory)
{
    if (memory)
        free(((void **)memory)[-1]);
}
