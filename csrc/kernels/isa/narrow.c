/* The chain for x86-64 with FMA on vectors of 16 bytes, whose divisions and broadcasts take less time
 * than those of longer ones: for layers no wider than that. Called by the kernels of AVX2 and
 * AVX-512, whose bits it gives. */
#include "isa.h"

#if BP_X86
#include <immintrin.h>
#define ISA narrow
#define VECTOR_BYTES 16
#define TILE_ROWS 1
#define EACH_TILE_HEIGHT TILE(1)
#define MOST_SUMS 4
#define MOST_PANELS 1
#define SINGLE_PANELS 1
#define FMA_F32(a, b, c) (vec) _mm_fmadd_ps((__m128)(a), (__m128)(b), (__m128)(c))
#define FMA_F64(a, b, c) (vec) _mm_fmadd_pd((__m128d)(a), (__m128d)(b), (__m128d)(c))
#define SQRT_F32(x) (vec) _mm_sqrt_ps((__m128)(x))
#define SQRT_F64(x) (vec) _mm_sqrt_pd((__m128d)(x))
#define LANE_F32(x, k) (vec) _mm_permutevar_ps((__m128)(x), _mm_set1_epi32((int)(k)))
#define LANE_F64(x, k) (vec) _mm_permutevar_pd((__m128d)(x), _mm_set1_epi64x((long long)(k) << 1))
#define BODIES "chain_alone.inc"
#pragma GCC diagnostic ignored "-Wunused-function" /* of the bodies, only what the chain calls is kept */
BEGIN_TARGET("avx2,fma")
#include "kernels/bodies/both_precisions.inc"
END_TARGET
#endif
