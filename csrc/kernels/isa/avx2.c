/* The kernels for x86-64 with AVX2 and FMA: 16 registers of 32 bytes. */
#include "isa.h"

#if BP_X86
#include <immintrin.h>
#define ISA avx2
#define VECTOR_BYTES 32
#define TILE_ROWS 6
#define EACH_TILE_HEIGHT TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#define MOST_SUMS 12
#define MOST_PANELS 4
#define NARROW_BYTES 16 /* narrow.c */
#define SINGLE_PANELS 3
#define FMA_F32(a, b, c) (vec) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c))
#define FMA_F64(a, b, c) (vec) _mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c))
#define SQRT_F32(x) (vec) _mm256_sqrt_ps((__m256)(x))
#define SQRT_F64(x) (vec) _mm256_sqrt_pd((__m256d)(x))
BEGIN_TARGET("avx2,fma")
#include "kernels/bodies/both_precisions.inc"
END_TARGET
#endif
