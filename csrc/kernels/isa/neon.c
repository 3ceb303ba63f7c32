/* The kernels for 64-bit Arm, which always has NEON: 32 registers of 16 bytes. */
#include "isa.h"

#if BP_ARM
#include <arm_neon.h>
#define ISA neon
#define VECTOR_BYTES 16
#define TILE_ROWS 6
#define EACH_TILE_HEIGHT TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#define MOST_SUMS 24
#define MOST_PANELS 4
#define SINGLE_PANELS 2
#define FMA_F32(a, b, c) (vec) vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b))
#define FMA_F64(a, b, c) (vec) vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b))
#define SQRT_F32(x) (vec) vsqrtq_f32((float32x4_t)(x))
#define SQRT_F64(x) (vec) vsqrtq_f64((float64x2_t)(x))
#include "kernels/bodies/both_precisions.inc"
#endif
