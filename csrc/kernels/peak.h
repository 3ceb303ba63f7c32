/* peak.h: how many multiply-adds a second one core can do. Depends on kernels.h. */
#ifndef BP_PEAK_H
#define BP_PEAK_H

#include "kernels.h"

/* Floating-point operations per second, a multiply-add counting as two: the best of bursts of about
 * a millisecond, for that many seconds and at least one burst. */
double bp_fma_peak(const struct bp_kernels *, double seconds);

#endif
