#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */
#include "memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__) && !defined(BP_ADDRESS_SANITIZER) /* which would not know of them */
#define HUGE_PAGES
#include <sys/mman.h>
#endif

enum { CACHE_LINE = 64, HUGE_PAGE = 1 << 21 };

/* what lies before the caller's memory */
struct head {
    void *block;   /* as the system gave it */
    size_t mapped; /* bytes of it if they are pages, 0 if calloc's */
};

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

#ifdef HUGE_PAGES
/* Pages of their own: they are fresh, and zeros already, so that each is first touched by the thread
 * that uses it, those that nobody uses are never there, and freed ones go back to the system. */
static void *
allocate_pages(size_t size)
{
    /* whole huge pages, and one for the rest if that fills most of it */
    const size_t huge = (size + HUGE_PAGE / 4) / HUGE_PAGE * HUGE_PAGE;
    const size_t length = sizeof(struct head) + size + 2 * (size_t)HUGE_PAGE;
    char *block = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    char *memory = block + sizeof(struct head);
    memory += -(uintptr_t)memory % HUGE_PAGE;
    ((struct head *)memory)[-1] = (struct head){block, length};
    (void)madvise(memory, huge, MADV_HUGEPAGE); /* only a wish: small pages serve as well */
    return memory;
}
#endif

static void *
allocate_block(size_t size)
{
    char *block = calloc(1, sizeof(struct head) + size + CACHE_LINE);
    if (!block)
        return NULL;
    char *memory = block + sizeof(struct head);
    memory += -(uintptr_t)memory % CACHE_LINE;
    ((struct head *)memory)[-1] = (struct head){block, 0};
    return memory;
}

void *
bp_allocate(size_t size)
{
    void *memory;

    if (!bp_granted() || size > SIZE_MAX - 4 * (size_t)HUGE_PAGE)
        return NULL;
#ifdef HUGE_PAGES
    memory = size >= HUGE_PAGE ? allocate_pages(size) : allocate_block(size);
#else
    memory = allocate_block(size);
#endif
    if (memory)
        atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    return memory;
}

void
bp_free(void *memory)
{
    if (!memory)
        return;
    const struct head head = ((struct head *)memory)[-1];
#ifdef HUGE_PAGES
    if (head.mapped > 0)
        (void)munmap(head.block, head.mapped);
    else
#endif
        free(head.block);
    atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
}
