/* The kernels for any processor: vectors of 16 bytes, which every x86-64 and Arm has as registers,
 * a multiplication and an addition rounded apart. */
#include "isa.h"

#define ISA baseline
#define VECTOR_BYTES 16
#define TILE_ROWS 3
#define EACH_TILE_HEIGHT TILE(1) TILE(2) TILE(3)
#define MOST_SUMS 12
#define MOST_PANELS 2
#define SINGLE_PANELS 1
#define SQRT_F32(x) ((vec){sqrtf((x)[0]), sqrtf((x)[1]), sqrtf((x)[2]), sqrtf((x)[3])})
#define SQRT_F64(x) ((vec){sqrt((x)[0]), sqrt((x)[1])})
#include "kernels/bodies/both_precisions.inc"
