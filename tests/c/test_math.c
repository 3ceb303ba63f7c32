/* test_math: the elementary functions of csrc/kernels/bodies/math.inc and normal.inc against libm.
 *
 * Build it once per instruction set, in the repository's root:
 *   cc -O3 -std=c11 -ffp-contract=off -Icsrc tests/c/test_math.c -lm -o test_math
 * as it stands for vectors of 16 bytes without a fused multiply-add (-DBYTES=32 or 64 -Wno-psabi:
 * longer ones), with -mavx2 -mfma for AVX2, with -mavx512f -mavx512dq -mavx512bw -mavx512vl for
 * AVX-512, and with aarch64-linux-gnu-gcc for NEON (-DBASELINE: without a fused multiply-add).
 *
 *   ./test_math [stride [function]]
 * float32: every stride-th bit pattern (1: all 2^32; else 251), against libm in float64.
 * float64: dense and random points, against libm in long double. Its 64 bits put the reference
 * within 2^-11 ulp of the exact value, ample to tell 2.5 ulp.
 */
#include "kernels/isa/isa.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(BASELINE) || defined(BYTES)
/* no fused multiply-add */
#elif defined(__AVX512F__)
#include <immintrin.h>
#define ISA avx512
#define BYTES 64
#define FMA_F32(a, b, c) (vec) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c))
#define FMA_F64(a, b, c) (vec) _mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c))
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define ISA avx2
#define BYTES 32
#define FMA_F32(a, b, c) (vec) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c))
#define FMA_F64(a, b, c) (vec) _mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c))
#elif defined(__aarch64__)
#include <arm_neon.h>
#define ISA neon
#define FMA_F32(a, b, c) (vec) vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b))
#define FMA_F64(a, b, c) (vec) vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b))
#endif
#ifndef ISA
#define ISA baseline
#endif
#ifndef BYTES
#define BYTES 16
#endif
#define VECTOR_BYTES BYTES
#define HARDWARE_SQRT(x) (x) /* math.inc takes no square root */

#define EACH_FUNCTION                                                                              \
    FUNCTION(exp)                                                                                  \
    FUNCTION(expm1)                                                                                \
    FUNCTION(log)                                                                                  \
    FUNCTION(log1p)                                                                                \
    FUNCTION(sigmoid)                                                                              \
    FUNCTION(tanh)                                                                                 \
    FUNCTION(softplus)                                                                             \
    FUNCTION(normal_cdf)                                                                           \
    FUNCTION(normal_density)

enum {
#define FUNCTION(f) F_##f,
    EACH_FUNCTION
#undef FUNCTION
        FUNCTIONS
};

#define FUNCTION(f) #f,
static const char *const names[] = {EACH_FUNCTION};
#undef FUNCTION

#define ALLOWED 2.5 /* ulp */

/* y[i] = f(x[i]) for one block */
#define BLOCK 256
#define FUNCTION(f)                                                                                \
    case F_##f:                                                                                    \
        for (int i = 0; i < BLOCK; i += LANES)                                                     \
            NAME(store)(y + i, NAME(v_##f)(NAME(load)(x + i)));                                    \
        break;
/* Φ and its density, of which GELU and its derivatives are made */
#define DEFINE_NORMAL                                                                              \
    static vec NAME(v_normal_cdf)(vec x)                                                           \
    {                                                                                              \
        const vec zero = NAME(set)(0), one = NAME(set)(1);                                         \
        vec density;                                                                               \
        return NAME(select_normal)(x, zero, NAME(normal)(x, &density), one);                       \
    }                                                                                              \
    static vec NAME(v_normal_density)(vec x)                                                       \
    {                                                                                              \
        const vec zero = NAME(set)(0);                                                             \
        vec density;                                                                               \
        NAME(normal)(x, &density);                                                                 \
        return NAME(select_normal)(x, zero, density, zero);                                        \
    }
#define DEFINE_APPLY                                                                               \
    static void NAME(apply)(int which, const REAL *x, REAL *y)                                     \
    {                                                                                              \
        switch (which) {                                                                           \
            EACH_FUNCTION                                                                          \
        }                                                                                          \
    }
#define PASTE_(a, b, c) a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)

#define REAL float
#define REAL_BITS 32
#define NAME(x) PASTE(x, f32, ISA)
#ifdef FMA_F32
#define HARDWARE_FMA FMA_F32
#endif
#include "kernels/bodies/vector.inc"

#include "kernels/bodies/math.inc"
DEFINE_NORMAL
DEFINE_APPLY
#undef LANES
#undef vec
#undef ivec
#undef INTEGER_
#undef INTEGER
#undef REAL
#undef REAL_BITS
#undef NAME
#undef HARDWARE_FMA

#define REAL double
#define REAL_BITS 64
#define NAME(x) PASTE(x, f64, ISA)
#ifdef FMA_F64
#define HARDWARE_FMA FMA_F64
#endif
#include "kernels/bodies/vector.inc"

#include "kernels/bodies/math.inc"
DEFINE_NORMAL
DEFINE_APPLY
#undef FUNCTION

#define APPLY_F32 PASTE(apply, f32, ISA)
#define APPLY_F64 PASTE(apply, f64, ISA)

static double
exact_f32(int which, double x)
{
    switch (which) {
    case F_exp:
        return exp(x);
    case F_expm1:
        return expm1(x);
    case F_log:
        return log(x);
    case F_log1p:
        return log1p(x);
    case F_sigmoid:
        return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
    case F_tanh:
        return tanh(x);
    case F_softplus:
        return x < 0 ? log1p(exp(x)) : x + log1p(exp(-x));
    case F_normal_cdf:
        return 0.5 * erfc(x * -0.70710678118654752440);
    default:
        return 0.39894228040143267794 * exp(-0.5 * x * x);
    }
}

static long double
exact_f64(int which, long double x)
{
    switch (which) {
    case F_exp:
        return expl(x);
    case F_expm1:
        return expm1l(x);
    case F_log:
        return logl(x);
    case F_log1p:
        return log1pl(x);
    case F_sigmoid:
        return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
    case F_tanh:
        return tanhl(x);
    case F_softplus:
        return x < 0 ? log1pl(expl(x)) : x + log1pl(expl(-x));
    case F_normal_cdf: {
        /* erfc' = -2/sqrt(pi) e^(-a^2) makes up for the rounding of a = -x/sqrt(2) */
        const long double root = 0.707106781186547524400844362104849L, a = x * -root;
        const long double rounding = fmal(x, -root, -a);
        return isfinite(x) && a < 100
                   ? 0.5L * (erfcl(a) - 1.128379167095512573896L * expl(-a * a) * rounding)
                   : 0.5L * erfcl(a);
    }
    default: {
        const long double square = x * x, rounding = square < 1e5L ? fmal(x, x, -square) : 0;
        return 0.398942280401432677939946059934381868L * expl(-0.5L * square) *
               (1 - 0.5L * rounding);
    }
    }
}

struct worst {
    double ulp, at; /* of the result */
    long failures;
};

static void
fail(struct worst *w, const char *type, int which, double x, double got, double want)
{
    if (w->failures++ < 5)
        printf("FAILED: %s %s(%a) = %a, not %a\n", type, names[which], x, got, want);
}

/* `digits` of the type; its smallest exponent as ilogb() gives it; want rounded to it */
static void
compare(struct worst *w, int which, const char *type, int digits, int lowest, double x, double got,
        long double want, double rounded)
{
    if (isnan(rounded) || isinf(rounded)) {
        if (isnan(rounded) ? !isnan(got) : got != rounded)
            fail(w, type, which, x, got, rounded);
        return;
    }
    if (!isfinite(got) || (got == 0 && rounded == 0 && signbit(got) != signbit(rounded))) {
        fail(w, type, which, x, got, rounded);
        return;
    }
    const int e = want == 0 || ilogbl(want) < lowest ? lowest : ilogbl(want);
    const double ulp = ldexp((double)fabsl(got - want), digits - 1 - e);
    if (ulp > w->ulp) {
        w->ulp = ulp;
        w->at = x;
    }
    if (ulp > ALLOWED)
        fail(w, type, which, x, got, rounded);
}

/* the same for float32, without long double and calls: it runs up to 2^32 times */
static void
compare_f32(struct worst *w, int which, float x, float got, double want)
{
    uint64_t bits;
    memcpy(&bits, &want, sizeof(bits));
    int e = (int)(bits >> 52 & 2047) - 1023;
    e = e < -126 ? -126 : e;
    const uint64_t inverse_bits = (uint64_t)(1023 + 23 - e) << 52;
    double inverse;
    memcpy(&inverse, &inverse_bits, sizeof(inverse));
    const double error = fabs((double)got - want);
    /* 0, what isn't finite and a new worst take the long way */
    if (!(e < 127) || got == 0 || !(error * inverse <= w->ulp))
        compare(w, which, "float32", 24, -126, (double)x, (double)got, (long double)want,
                (double)(float)want);
}

static const double special[] = {
    0, 0x1p-149, 0x1p-126, 0x1p-1074, 0x1p-1022, 0x1p-24, 0x1p-25, 0x1p-26, 0x1p-53, 0x1p-54,
    0x1p-55, 0.25, 0.34657359027997264, 0.5, 0.67, 0.69314718055994529, 0.70710678118654757,
    0.88137358701954305, 1, 1.0397207708399179, 1.4142135623730951, 2, 3, 3.832506, 3.92, 4, 5.86,
    6, 8, 9.01, 10, 14.17, 14.4, 16.6355, 17.32, 18, 19.06, 20, 36.04, 36.7, 37.5, 38, 38.6, 76,
    87.33654, 88, 88.72283172607422, 89, 103.27893, 103.97207, 104, 708.39641853226408,
    709.78271289338397, 710, 744.44007192138122, 745.13321910194111, 746, 0x1p23, 0x1p24, 0x1p52,
    0x1p53, FLT_MAX, DBL_MAX, INFINITY, NAN,
};
#define SPECIALS (sizeof(special) / sizeof(special[0]))

static uint64_t
random_bits(void)
{
    static uint64_t state = 1;
    state += 0x9e3779b97f4a7c15u;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double
random_between(double low, double high)
{
    return low + (high - low) * (double)(random_bits() >> 11) * 0x1p-53;
}

/* a special number or one of its 64 neighbours on either side, or -1 plus such a small one */
static double
near_special(int digits)
{
    const double s = special[random_bits() % SPECIALS], sign = random_bits() & 1 ? -1 : 1;
    if (digits == 24) {
        const float f = (float)s;
        uint32_t bits;
        memcpy(&bits, &f, sizeof(bits));
        bits += (uint32_t)(random_bits() % 129) - (bits >= 64 ? 64 : 0);
        float x;
        memcpy(&x, &bits, sizeof(x));
        return sign * (double)x;
    }
    uint64_t bits;
    memcpy(&bits, &s, sizeof(bits));
    bits += random_bits() % 129 - (bits >= 64 ? 64 : 0);
    double x;
    memcpy(&x, &bits, sizeof(x));
    return sign * x;
}

static double
any_double(size_t i)
{
    switch (i % 8) {
    case 0: {
        const uint64_t bits = random_bits();
        double x;
        memcpy(&x, &bits, sizeof(x));
        return x;
    }
    case 1:
        return near_special(53);
    case 2:
        return random_between(-760, 760);
    case 3:
        return random_between(-40, 40);
    case 4:
        return random_between(-7, 7);
    case 5:
        return random_between(-1, 3);
    case 6:
        return random_between(-1, 1);
    default:
        return (random_bits() & 1 ? -1 : 1) * exp2(random_between(-80, 12));
    }
}

static void
test_f32(int which, uint64_t stride, struct worst *w)
{
    float x[BLOCK], y[BLOCK];
    uint64_t next = 0;
    int near_special_points = 0;

    while (near_special_points < 200 * BLOCK) {
        for (int i = 0; i < BLOCK; i++) {
            const uint32_t bits = (uint32_t)next;
            memcpy(x + i, &bits, sizeof(bits));
            next += stride;
            if ((next - stride) >> 32) { /* done: go on around the special points */
                x[i] = (float)near_special(24);
                near_special_points++;
            }
        }
        APPLY_F32(which, x, y);
        for (int i = 0; i < BLOCK; i++)
            compare_f32(w, which, x[i], y[i], exact_f32(which, (double)x[i]));
    }
}

static void
test_f64(int which, size_t count, struct worst *w)
{
    double x[BLOCK], y[BLOCK];

    for (size_t n = 0; n < count; n += BLOCK) {
        for (size_t i = 0; i < BLOCK; i++)
            x[i] = any_double(i);
        APPLY_F64(which, x, y);
        for (int i = 0; i < BLOCK; i++) {
            const long double want = exact_f64(which, (long double)x[i]);
            compare(w, which, "float64", 53, -1022, x[i], y[i], want, (double)want);
        }
    }
}

/* the same bits for a number wherever it stands and whatever stands beside it */
static long
test_lanes(int which)
{
    double x[BLOCK], y[BLOCK], y_moved[BLOCK];
    float xf[BLOCK], yf[BLOCK], yf_moved[BLOCK];
    long failures = 0;

    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < BLOCK; i++) {
            x[i] = any_double(i);
            xf[i] = (float)any_double(i);
        }
        APPLY_F64(which, x, y);
        APPLY_F32(which, xf, yf);
        const double first = x[0];
        const float first_f = xf[0];
        memmove(x, x + 1, sizeof(x) - sizeof(x[0]));
        memmove(xf, xf + 1, sizeof(xf) - sizeof(xf[0]));
        x[BLOCK - 1] = first;
        xf[BLOCK - 1] = first_f;
        APPLY_F64(which, x, y_moved);
        APPLY_F32(which, xf, yf_moved);
        for (int i = 0; i < BLOCK; i++) {
            const int to = (i + BLOCK - 1) % BLOCK;
            failures += !isnan(y[i]) && memcmp(y + i, y_moved + to, sizeof(y[0])) != 0;
            failures += !isnan(yf[i]) && memcmp(yf + i, yf_moved + to, sizeof(yf[0])) != 0;
        }
    }
    if (failures)
        printf("FAILED: %s: %ld numbers depend on their neighbours\n", names[which], failures);
    return failures;
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

int
main(int argc, char **argv)
{
    const uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 251;
    const size_t count = LDBL_MANT_DIG > 64 ? 1 << 14 : 1 << 19; /* in software: fewer */
    long failures = 0;

    if (stride == 0 || LDBL_MANT_DIG < 64) {
        printf("math: not tested, %s\n", stride ? "long double is not longer" : "stride 0");
        return 2;
    }
    printf("%s, %d bytes: largest error in ulp (where)\n", TEXT(ISA), BYTES);
    for (int which = 0; which < FUNCTIONS; which++) {
        struct worst f32 = {0}, f64 = {0};
        if (argc > 2 && strcmp(argv[2], names[which]) != 0)
            continue;
        test_f32(which, stride, &f32);
        test_f64(which, count, &f64);
        printf("%-14s  float32 %.3f (%.9g)   float64 %.3f (%.17g)\n", names[which], f32.ulp, f32.at,
               f64.ulp, f64.at);
        failures += f32.failures + f64.failures + test_lanes(which);
    }
    if (failures == 0)
        printf("math: OK\n");
    fflush(stdout); /* the tests load it as a library, which does not end here */
    return failures != 0;
}
