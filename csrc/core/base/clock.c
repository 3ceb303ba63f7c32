#define _POSIX_C_SOURCE 200112L /* clock_gettime */
#include "clock.h"

#include <time.h>

uint64_t
bp_nanoseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
