#define _POSIX_C_SOURCE 200112L /* clock_gettime */
#include "peak.h"

#include <time.h>

static double
seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double
bp_fma_peak(const struct bp_kernels *kernels, double seconds)
{
    const size_t rounds = 200000;
    const double begin = seconds_now();
    double best = 0, before = begin, now;

    do {
        kernels->peak(rounds); /* through a pointer, so no compiler can leave it out */
        now = seconds_now();
        const double rate = (double)(rounds * kernels->peak_flops) / (now - before);
        if (now > before && rate > best)
            best = rate;
        before = now;
    } while (now - begin < seconds);
    return best;
}
