/* What this machine allows, one thread: multiply-adds a second with nothing else, and with the loads of a
 * product's tile, for matrices that fit into the nearest cache and for some that do not; the clock meanwhile;
 * and what each cache delivers.
 *
 *   make bench-bounds
 *
 * The tile is that of csrc/kernels/product.inc: per term, PANELS vectors of B and ROWS numbers of A, each
 * number in all lanes, give ROWS * PANELS multiply-adds. The clock: beside the multiply-adds runs a chain of
 * LINKS integer multiplications a term, each of which waits 3 cycles for the one before; that is more than
 * the multiply-adds take, so the time tells the length of a cycle. */
#define _POSIX_C_SOURCE 200112L
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, ROWS = 8, PANELS = 3 };
#define FMA(a, b, c) (vec) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c))
#else /* AVX2 and FMA: 16 registers */
enum { VECTOR_BYTES = 32, ROWS = 6, PANELS = 2 };
#define FMA(a, b, c) (vec) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c))
#endif
enum { LANES = VECTOR_BYTES / 4, MOST_TERMS = 256, TILES = 4, LINKS = 6, LATENCY = 3 };

typedef float vec __attribute__((vector_size(VECTOR_BYTES)));
#define UNROLL _Pragma("GCC unroll 32")

static float a[TILES][MOST_TERMS / LANES][ROWS][LANES] __attribute__((aligned(64)));
static float b[PANELS][MOST_TERMS][LANES] __attribute__((aligned(64)));
static float c[TILES][ROWS][PANELS][LANES] __attribute__((aligned(64)));
static unsigned long chain = 3;
static size_t terms;

static double
seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* One tile; loads and chained are constants where this is inlined. */
static inline __attribute__((always_inline)) void
tile(size_t t, const bool loads, const bool chained)
{
    const vec fixed = a[t][0][0][0] - (vec){0};
    vec sum[ROWS][PANELS];
    unsigned long links = chain;

    UNROLL for (size_t r = 0; r < ROWS; r++)
        UNROLL for (size_t q = 0; q < PANELS; q++)
            memcpy(&sum[r][q], c[t][r][q], sizeof(vec));
    for (size_t s = 0; s < terms / LANES; s++)
        _Pragma("GCC unroll 4") for (size_t i = 0; i < LANES; i++)
        {
            vec row[PANELS];
            UNROLL for (size_t q = 0; q < PANELS; q++)
                if (loads)
                    memcpy(&row[q], b[q][s * LANES + i], sizeof(vec));
                else
                    row[q] = fixed;
            UNROLL for (size_t r = 0; r < ROWS; r++) {
                const vec factor = loads ? a[t][s][r][i] - (vec){0} : fixed;
                UNROLL for (size_t q = 0; q < PANELS; q++)
                    sum[r][q] = FMA(factor, row[q], sum[r][q]);
            }
            if (chained)
                UNROLL for (int l = 0; l < LINKS; l++)
                    __asm__ volatile("imul %0, %0" : "+r"(links));
        }
    chain = links;
    UNROLL for (size_t r = 0; r < ROWS; r++)
        UNROLL for (size_t q = 0; q < PANELS; q++)
            memcpy(c[t][r][q], &sum[r][q], sizeof(vec));
}

#define TILE(name, loads, chained)                                                                 \
    static __attribute__((noinline)) void name(size_t t) { tile(t, loads, chained); }
TILE(nothing_loaded, false, false)
TILE(both_loaded, true, false)
TILE(clock_alone, false, true)
TILE(clock_loaded, true, true)

/* seconds a term, the least of some rounds */
static double
time_terms(void (*run)(size_t), size_t count)
{
    const int repeats = 500;
    const double end = seconds_now() + 0.5;
    double least = 1;

    terms = count;
    while (seconds_now() < end) {
        const double begin = seconds_now();
        for (int i = 0; i < repeats; i++)
            for (size_t t = 0; t < TILES; t++)
                run(t);
        const double took = (seconds_now() - begin) / ((double)(repeats * TILES) * (double)terms);
        least = took < least ? took : least;
    }
    return least;
}

/* GB/s from `size` bytes at p: read, or read and written */
static double
time_bytes(float *p, size_t size, bool write)
{
    const size_t repeats = ((size_t)1 << 28) / size + 1, vectors = size / sizeof(vec);
    vec sum[4] = {{0}};
    double most = 0;

    for (int round = 0; round < 5; round++) {
        const double begin = seconds_now();
        for (size_t i = 0; i < repeats; i++)
            for (size_t n = 0; n < vectors; n += 4)
                UNROLL for (size_t v = 0; v < 4; v++)
                {
                    vec x;
                    memcpy(&x, p + (n + v) * LANES, sizeof(vec));
                    sum[v] += x;
                    if (write)
                        memcpy(p + (n + v) * LANES, &sum[v], sizeof(vec));
                }
        const double rate = 1e-9 * (double)(repeats * size) / (seconds_now() - begin);
        most = rate > most ? rate : most;
    }
    volatile float keep = (sum[0] + sum[1] + sum[2] + sum[3])[0];
    (void)keep;
    return most;
}

int
main(void)
{
    /* else all of them would be one page of zeros */
    memset(a, 0x11, sizeof(a));
    memset(b, 0x11, sizeof(b));
    memset(c, 0x11, sizeof(c));
    printf("vectors of %d bytes, tiles of %d x %d vectors; float32\n", VECTOR_BYTES, ROWS, PANELS);
    for (size_t count = 64; count <= MOST_TERMS; count *= 2)
        printf("%3zu terms: multiply-adds alone %.0f GFLOP/s, with the loads %.0f GFLOP/s\n", count,
               2e-9 * ROWS * PANELS * LANES / time_terms(nothing_loaded, count),
               2e-9 * ROWS * PANELS * LANES / time_terms(both_loaded, count));
    printf("clock: multiply-adds alone %.2f GHz, with the loads %.2f GHz\n",
           1e-9 * LINKS * LATENCY / time_terms(clock_alone, 64),
           1e-9 * LINKS * LATENCY / time_terms(clock_loaded, 64));
    for (size_t size = 1 << 14; size <= 1 << 26; size <<= 2) {
        float *p = NULL;
        if (posix_memalign((void **)&p, 1 << 21, size) != 0)
            return 1;
        memset(p, 0, size);
        printf("%6zu KiB: read at %4.0f GB/s, read and written at %4.0f GB/s\n", size >> 10,
               time_bytes(p, size, false), time_bytes(p, size, true));
        free(p);
    }
    return 0;
}
