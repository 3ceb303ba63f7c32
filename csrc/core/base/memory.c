#define _DEFAULT_SOURCE /* madvise */
#include "memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

enum { CACHE_LINE = 64, HUGE_PAGE = 1 << 21, ONE_GIB = 1 << 30 };

static atomic_size_t allocations, refused_in; /* requests until the one that is refused, or 0 */

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
bp_allocations(void)
{
    return atomic_load(&allocations);
}

/* Whether so many bytes cannot all be there, whatever else is: a system that lends without counting
 * would end the process when they are written. */
static bool
is_more_than_there_is(size_t size)
{
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 && size / (size_t)page >= (size_t)pages;
#else
    (void)size;
    return false;
#endif
}

/* The block that calloc gave begins at the pointer that lies before what the caller got. calloc,
 * since it knows when pages are fresh from the system and zeros already: they are touched first by
 * the thread that uses them, and those that nobody uses are never there. */
void *
bp_allocate(size_t count, size_t each)
{
    const size_t size = bp_size_product(count, each);
    const size_t unit = size >= HUGE_PAGE ? HUGE_PAGE : CACHE_LINE;
    /* whole huge pages, and one for the rest if that fills most of it */
    const size_t whole = size >= HUGE_PAGE ? HUGE_PAGE / 4 : 0;
    if (!bp_granted() || size > SIZE_MAX - 2 * HUGE_PAGE)
        return NULL;
    if (size > ONE_GIB && is_more_than_there_is(size))
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
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return memory;
}

void
bp_free(void *memory)
{
    if (!memory)
        return;
    free(((void **)memory)[-1]);
    atomic_fetch_sub_explicit(&allocations, 1, memory_order_relaxed);
}
