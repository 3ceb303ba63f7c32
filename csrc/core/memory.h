/* memory.h: the one place the core takes memory from. Depends on libc only. */
#ifndef BP_MEMORY_H
#define BP_MEMORY_H

#include <stddef.h>

/* `size` bytes of zeros that begin on a cache line, or NULL; in huge pages where it is large. */
void *bp_allocate(size_t size);

void bp_free(void *memory);

#endif
