/* isa.h: what every file here needs before it opens its target region. Depends on libc only. */
#ifndef BP_ISA_H
#define BP_ISA_H

#if !defined(__GNUC__)
#error "backprop's kernels use vector types: build with GCC 9 or Clang 10, or later"
#endif

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined(__x86_64__)
#define BP_X86 1
#elif defined(__aarch64__)
#define BP_ARM 1
#endif

#ifndef INLINE /* .ci/coverage, which counts what every body does, has them as functions */
#define INLINE static inline __attribute__((always_inline, unused))
#endif
#define NOINLINE __attribute__((noinline))
#define PRAGMA(text) _Pragma(#text)

/* asks for a cache line: into the nearest cache, or into the one behind it */
#define FETCH(address) __builtin_prefetch(address, 0, 3)
#define FETCH_FAR(address) __builtin_prefetch(address, 0, 2)

/* before a loop whose count is a constant after inlining, so that its arrays become registers */
#if defined(__clang__)
#define UNROLL PRAGMA(clang loop unroll(full))
#define UNROLL_4 PRAGMA(clang loop unroll_count(4))
#else
#define UNROLL PRAGMA(GCC unroll 32)
#define UNROLL_4 PRAGMA(GCC unroll 4)
#endif

/* All code between the two may use the named instructions; nothing outside may. */
#if defined(__clang__)
#define BEGIN_TARGET(features)                                                                     \
    PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define END_TARGET PRAGMA(clang attribute pop)
#else
#define BEGIN_TARGET(features) PRAGMA(GCC push_options) PRAGMA(GCC target(features))
#define END_TARGET PRAGMA(GCC pop_options)
#endif

#endif
