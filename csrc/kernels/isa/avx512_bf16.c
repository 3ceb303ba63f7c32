/* bfloat16 for x86-64 with AVX512-BF16: VDPBF16PS adds two products to each of 16 sums, of each two
 * terms the second first. It rounds each product's addition to nearest, ties to even, and makes
 * subnormals zero. Factors are rounded by VCVTNE2PS2BF16. */
#include "bf16.h"

#if BP_X86_BF16
#include <cpuid.h>
#include <immintrin.h>

enum { PANEL = 16, TILE_ROWS = 8, TILE_PANELS = 3 };

BEGIN_TARGET(BP_BF16_TARGET)

/* row r of a panel, in columns below `columns` */
INLINE __m512
row_of(const float *panel, size_t r, size_t columns)
{
    const __mmask16 there = columns < PANEL ? (__mmask16)((1U << columns) - 1) : (__mmask16)0xffff;
    return _mm512_maskz_loadu_ps(there, panel + r * PANEL);
}

/* two rows, rounded: x0 y0 x1 y1 ... */
INLINE __m512i
side_by_side(__m512 x, __m512 y)
{
    const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(y, x);
    /* 0 16 1 17 ... 15 31, as numbers of 16 bits */
    const __m512i order = _mm512_set_epi32(
        0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a, 0x190009, 0x180008, 0x170007,
        0x160006, 0x150005, 0x140004, 0x130003, 0x120002, 0x110001, 0x100000);
    return _mm512_permutexvar_epi16(order, halves);
}

/* a square of 16 x 16 numbers of 32 bits */
INLINE void
turn(__m512i x[16])
{
    __m512i y[16];

    UNROLL for (size_t i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    UNROLL for (size_t i = 0; i < 16; i += 4)
        UNROLL for (size_t h = 0; h < 2; h++) {
            x[i + 2 * h] = _mm512_unpacklo_epi64(y[i + h], y[i + h + 2]);
            x[i + 2 * h + 1] = _mm512_unpackhi_epi64(y[i + h], y[i + h + 2]);
        }
    UNROLL for (size_t i = 0; i < 16; i += 8)
        UNROLL for (size_t h = 0; h < 4; h++) {
            y[i + h] = _mm512_shuffle_i32x4(x[i + h], x[i + h + 4], 0x88);
            y[i + h + 4] = _mm512_shuffle_i32x4(x[i + h], x[i + h + 4], 0xdd);
        }
    UNROLL for (size_t h = 0; h < 8; h++) {
        x[h] = _mm512_shuffle_i32x4(y[h], y[h + 8], 0x88);
        x[h + 8] = _mm512_shuffle_i32x4(y[h], y[h + 8], 0xdd);
    }
}

/* from, as columns of 32 bits, to 16 lines */
INLINE void
store_turned(__m512i x[16], bp_bfloat16 *out)
{
    turn(x);
    UNROLL for (size_t i = 0; i < 16; i++)
        _mm512_storeu_si512(out + i * BP_STRIP, x[i]);
}

void
bp_left_avx512(const struct bp_rounding *p, size_t first, size_t last)
{
    for (size_t q = first; q < last; q++) {
        const size_t left = p->columns - q * PANEL;
        bp_bfloat16 *out = p->out + q / 2 * p->out_stride + q % 2 * PANEL;
        const float *m = p->m + q * p->stride;
        for (size_t r = 0; r < p->rows; r++)
            _mm256_storeu_si256((__m256i *)(out + r * BP_STRIP),
                                (__m256i)_mm512_cvtneps_pbh(row_of(m, r, left)));
        if (left <= PANEL && q % 2 == 0)
            for (size_t r = 0; r < p->rows; r++)
                _mm256_storeu_si256((__m256i *)(out + r * BP_STRIP + PANEL), _mm256_setzero_si256());
    }
}

void
bp_left_turned_avx512(const struct bp_rounding *p)
{
    const float *m = p->m;

    for (size_t c = 0; c < p->columns; c += PANEL, m += p->stride)
        for (size_t n = 0; n < p->rows; n += BP_STRIP) {
            __m512i x[16];
            UNROLL for (size_t i = 0; i < 16; i++) {
                const size_t r = n + 2 * i;
                x[i] = side_by_side(row_of(m, r, r < p->rows ? PANEL : 0),
                                    row_of(m, r + 1, r + 1 < p->rows ? PANEL : 0));
            }
            store_turned(x, p->out + n / BP_STRIP * p->out_stride + c * BP_STRIP);
        }
}

void
bp_right_avx512(const struct bp_rounding *p)
{
    for (size_t c = 0; c < p->columns; c += PANEL) {
        const float *m = p->m + c / PANEL * p->stride;
        bp_bfloat16 *out = p->out + c / PANEL * p->out_stride;
        size_t r = 0;
        for (; r + 1 < p->rows; r += 2, out += BP_STRIP)
            _mm512_storeu_si512(out, side_by_side(row_of(m, r, PANEL), row_of(m, r + 1, PANEL)));
        for (; r < p->rows || r % BP_STRIP != 0; r += 2, out += BP_STRIP)
            _mm512_storeu_si512(
                out, side_by_side(row_of(m, r, r < p->rows ? PANEL : 0), _mm512_setzero_ps()));
    }
}

void
bp_right_turned_avx512(const struct bp_rounding *p)
{
    for (size_t n = 0; n < p->rows; n += PANEL)
        for (size_t c = 0; c < p->columns; c += BP_STRIP) {
            const float *m = p->m + c / PANEL * p->stride;
            const size_t left = p->columns - c, more = left > PANEL ? left - PANEL : 0;
            __m512i x[16];
            UNROLL for (size_t i = 0; i < 16; i++) {
                const bool there = n + i < p->rows;
                x[i] = (__m512i)_mm512_cvtne2ps_pbh(row_of(m + p->stride, n + i, there ? more : 0),
                                                    row_of(m, n + i, there ? left : 0));
            }
            store_turned(x, p->out + n / PANEL * p->out_stride + c / 2 * BP_STRIP);
        }
}

/* `rows` rows by `panels` panels of C, constants where this is inlined */
INLINE void
product_tile(const size_t rows, const size_t panels, const struct bp_mixed_product *p,
             struct fetching *fetching, const bp_bfloat16 *a, const bp_bfloat16 *b,
             const float *start, float *c)
{
    const size_t b_stride = p->b_stride, c_stride = p->c_stride, pairs = (p->depth + 1) / 2;
    __m512 sum[TILE_ROWS][TILE_PANELS];

    if (p->add)
        UNROLL for (size_t q = 0; q < panels; q++)
            UNROLL for (size_t r = 0; r < rows; r++) /* the tile after the next */
                FETCH(c + q * c_stride + (2 * TILE_ROWS + r) * PANEL);
    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t q = 0; q < panels; q++)
            sum[r][q] = p->resume ? _mm512_loadu_ps(c + q * c_stride + r * PANEL)
                        : start   ? _mm512_loadu_ps(start + q * PANEL)
                                  : _mm512_setzero_ps();
    for (size_t s = 0; s < pairs; s += BP_STRIP / 2) {
        const size_t width = pairs - s < BP_STRIP / 2 ? pairs - s : BP_STRIP / 2;
        fetch_ahead(fetching);
        UNROLL_4 for (size_t t = 0; t < width; t++) {
            __m512bh line[TILE_PANELS];
            UNROLL for (size_t q = 0; q < panels; q++)
                line[q] = (__m512bh)_mm512_loadu_si512(b + q * b_stride + t * BP_STRIP);
            UNROLL for (size_t r = 0; r < rows; r++) {
                int32_t pair;
                memcpy(&pair, a + r * BP_STRIP + 2 * t, sizeof(pair));
                const __m512bh factors = (__m512bh)_mm512_set1_epi32(pair);
                UNROLL for (size_t q = 0; q < panels; q++)
                    sum[r][q] = _mm512_dpbf16_ps(sum[r][q], line[q], factors);
            }
        }
        a += p->a_stride;
        b += BP_STRIP / 2 * BP_STRIP;
    }
    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t q = 0; q < panels; q++) {
            float *to = c + q * c_stride + r * PANEL;
            _mm512_storeu_ps(to, p->add ? _mm512_add_ps(_mm512_loadu_ps(to), sum[r][q]) : sum[r][q]);
        }
}

/* `rows` rows from `first` on, a constant, of panels [q, q + together) */
INLINE void
product_group(const size_t rows, size_t first, size_t q, size_t together,
              const struct bp_mixed_product *p, struct fetching *fetching)
{
    const bp_bfloat16 *a = p->a + first * BP_STRIP, *b = p->b + q * p->b_stride;
    const float *start = p->start ? p->start + q * PANEL : NULL;
    float *c = p->c + q * p->c_stride + first * PANEL;

    if (together == 3)
        product_tile(rows, 3, p, fetching, a, b, start, c);
    else if (together == 2)
        product_tile(rows, 2, p, fetching, a, b, start, c);
    else
        product_tile(rows, 1, p, fetching, a, b, start, c);
}

static void
product(const struct bp_mixed_product *p)
{
    const size_t tiles = (p->rows + TILE_ROWS - 1) / TILE_ROWS;
    const size_t panels = (p->columns + PANEL - 1) / PANEL;
    const size_t strips = (p->depth + BP_STRIP - 1) / BP_STRIP;
    struct fetching fetching = fetching_of(p, tiles * strips);

    for (size_t q = 0; q < panels && tiles > 0;) {
        const size_t left = panels - q, together = left == 4 ? 2 : left < 3 ? left : 3;
        size_t first = 0;
        for (size_t i = 0; i < tiles; i++) {
            const size_t height = p->rows / tiles + (i < p->rows % tiles);
            switch (height) {
#define TILE(n)                                                                                    \
    case n:                                                                                        \
        product_group(n, first, q, together, p, &fetching);                                                \
        break;
                TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8)
#undef TILE
            }
            first += height;
        }
        q += together;
    }
}

END_TARGET

bool
bp_has_avx512_bf16(void)
{
    unsigned a, b, c, d;

    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}

bool
bp_is_fast_avx512_bf16(void)
{
    unsigned most, b = 0, c = 0, d = 0;

    /* AMD's, from Zen 4 on; on Intel's Sapphire Rapids two terms take four times as long as one of
     * float32 */
    return __get_cpuid(0, &most, &b, &c, &d) && b == signature_AMD_ebx && c == signature_AMD_ecx &&
           d == signature_AMD_edx;
}

const struct bp_mixed bp_mixed_avx512_bf16 = {
    .name = "avx512_bf16",
    .piece_panels = TILE_PANELS,
    .piece_depth = 256,
    .product = product,
    .left = bp_left_avx512,
    .left_turned = bp_left_turned_avx512,
    .right = bp_right_avx512,
    .right_turned = bp_right_turned_avx512,
};
#endif
