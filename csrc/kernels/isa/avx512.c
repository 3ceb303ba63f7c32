/* The kernels for x86-64 with AVX-512 F, DQ, BW and VL: 32 registers of 64 bytes. */
#include "isa.h"

#if BP_X86
#include <immintrin.h>
#define ISA avx512
#define VECTOR_BYTES 64
#define TILE_ROWS 8
#define EACH_TILE_HEIGHT TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8)
#define MOST_SUMS 24
#define MOST_PANELS 8
#define NARROW_BYTES 16 /* narrow.c */
#define SINGLE_PANELS 6
#define FMA_F32(a, b, c) (vec) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c))
#define FMA_F64(a, b, c) (vec) _mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c))
#define LOAD_SOME_F32(p, mask) (vec) _mm512_maskz_loadu_ps((__mmask16)(mask), p)
#define LOAD_SOME_F64(p, mask) (vec) _mm512_maskz_loadu_pd((__mmask8)(mask), p)
#define STORE_SOME_F32(p, mask, x) _mm512_mask_storeu_ps(p, (__mmask16)(mask), (__m512)(x))
#define STORE_SOME_F64(p, mask, x) _mm512_mask_storeu_pd(p, (__mmask8)(mask), (__m512d)(x))
#define SQRT_F32(x) (vec) _mm512_sqrt_ps((__m512)(x))
#define SQRT_F64(x) (vec) _mm512_sqrt_pd((__m512d)(x))
BEGIN_TARGET("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")
#include "kernels/bodies/both_precisions.inc"
END_TARGET
#endif
