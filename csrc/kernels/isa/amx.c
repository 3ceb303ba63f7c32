/* bfloat16 for x86-64 with AMX: eight tiles of 16 rows of 64 bytes, four of sums, two of A and two of
 * B. TDPBF16PS adds 32 terms to each of 16 x 16 sums: those with even and those with odd s on their
 * own, in order and from zero, then both together to the sum; it makes subnormals zero. Factors are
 * rounded by AVX512-BF16, which every processor with AMX has.
 *
 * Tiles are configured and released within a product: a thread that keeps them has 8 KiB more to be
 * saved when it is interrupted, and may keep its core from sleeping deeply.
 */
#define _DEFAULT_SOURCE 1 /* syscall */

#include "bf16.h"

#if BP_AMX
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if BP_AMX && !defined(TILE_LOAD) /* a test has tiles of its own */
#define TRUE_TILES
/* GCC's intrinsics do not say that they read memory: SEEN has it written before */
#define SEEN(memory) __asm__ volatile("" : : "r"(memory) : "memory")
#define TILE_CONFIGURE(configuration) (_tile_loadconfig(configuration))
#define TILE_RELEASE() _tile_release()
#define TILE_ZERO(tile) _tile_zero(tile)
#define TILE_LOAD(tile, from, stride) _tile_loadd(tile, from, stride)
#define TILE_STORE(tile, to, stride) _tile_stored(tile, to, stride)
#define TILE_ADD_PRODUCTS(c, a, b) _tile_dpbf16ps(c, a, b)
#endif

#ifdef TILE_LOAD

enum { PANEL = 16, LINE = BP_LINE, TILE = PANEL * PANEL };

#ifdef TRUE_TILES
BEGIN_TARGET(BP_BF16_TARGET ",amx-tile,amx-bf16")
#endif

struct configuration {
    uint8_t palette, start_row, zeros[14];
    uint16_t line_bytes[16]; /* of each tile, of which there are 8 */
    uint8_t rows[16];
};

static void
configure(void)
{
    struct configuration c = {.palette = 1};

    for (size_t i = 0; i < 8; i++) {
        c.line_bytes[i] = LINE;
        c.rows[i] = PANEL;
    }
    SEEN(&c);
    TILE_CONFIGURE(&c);
}

/* Up to two tiles of rows by two of columns, in tiles 0, 1 (the first rows) and 2, 3. */
struct block {
    size_t rows;
    bool tall, wide; /* two tiles each */
    const bp_bfloat16 *a, *b;
    const float *start;
    float *c;
};

/* A tile's first sums: from C, of which `rows` exist, or from `start`. */
#define BEGIN(tile, p, rows, from, start)                                                          \
    do {                                                                                           \
        if ((p)->resume && (rows) < PANEL) {                                                       \
            float whole[TILE] = {0};                                                               \
            memcpy(whole, from, (rows) * LINE);                                                    \
            SEEN(whole);                                                                           \
            TILE_LOAD(tile, whole, LINE);                                                          \
        }                                                                                          \
        else if ((p)->resume)                                                                      \
            TILE_LOAD(tile, from, LINE);                                                           \
        else if (start)                                                                            \
            TILE_LOAD(tile, start, 0); /* the same line 16 times */                                \
        else                                                                                       \
            TILE_ZERO(tile);                                                                       \
    } while (0)

/* Its sums to C. */
#define END(tile, p, rows, to)                                                                     \
    do {                                                                                           \
        if ((p)->add || (rows) < PANEL) {                                                          \
            float sums[TILE];                                                                      \
            TILE_STORE(tile, sums, LINE);                                                          \
            settle(p, rows, sums, to);                                                             \
        }                                                                                          \
        else                                                                                       \
            TILE_STORE(tile, to, LINE);                                                            \
    } while (0)

static void
settle(const struct bp_mixed_product *p, size_t rows, const float *sums, float *c)
{
    const size_t count = (rows < PANEL ? rows : PANEL) * PANEL;

    for (size_t i = 0; i < count; i++)
        c[i] = p->add ? c[i] + sums[i] : sums[i];
}

static void
add_products(const struct bp_mixed_product *p, const struct block *block,
             struct fetching *fetching)
{
    const bp_bfloat16 *a = block->a, *b = block->b;

    for (size_t s = 0; s < p->depth; s += BP_STRIP) {
        fetch_ahead(fetching);
        TILE_LOAD(4, a, LINE);
        TILE_LOAD(6, b, LINE);
        TILE_ADD_PRODUCTS(0, 4, 6);
        if (block->wide) {
            TILE_LOAD(7, b + p->b_stride, LINE);
            TILE_ADD_PRODUCTS(1, 4, 7);
        }
        if (block->tall) {
            TILE_LOAD(5, a + PANEL * BP_STRIP, LINE);
            TILE_ADD_PRODUCTS(2, 5, 6);
            if (block->wide)
                TILE_ADD_PRODUCTS(3, 5, 7);
        }
        a += p->a_stride;
        b += BP_STRIP / 2 * BP_STRIP;
    }
}

static void
product_block(const struct bp_mixed_product *p, const struct block *block,
              struct fetching *fetching)
{
    const size_t more = block->tall ? block->rows - PANEL : 0;
    const float *start = block->start, *start_right = start ? start + PANEL : NULL;
    float *c = block->c, *right = c + p->c_stride;

    BEGIN(0, p, block->rows, c, start);
    if (block->wide)
        BEGIN(1, p, block->rows, right, start_right);
    if (block->tall)
        BEGIN(2, p, more, c + TILE, start);
    if (block->tall && block->wide)
        BEGIN(3, p, more, right + TILE, start_right);
    add_products(p, block, fetching);
    END(0, p, block->rows, c);
    if (block->wide)
        END(1, p, block->rows, right);
    if (block->tall)
        END(2, p, more, c + TILE);
    if (block->tall && block->wide)
        END(3, p, more, right + TILE);
}

/* Some panels at a time, whose B stays in the second cache; of them 32 rows at a time, whose A stays
 * in the nearest. */
static void
product(const struct bp_mixed_product *p)
{
    const size_t panels = (p->columns + PANEL - 1) / PANEL;
    const size_t blocks = (p->rows + 31) / 32 * ((panels + 1) / 2);
    const size_t strips = (p->depth + BP_STRIP - 1) / BP_STRIP;
    struct fetching fetching = fetching_of(p, blocks * strips);

    configure();
    for (size_t group = 0; group < panels; group += BP_PIECE_PANELS) {
        const size_t left = panels - group;
        const size_t end = group + (left < BP_PIECE_PANELS ? left : BP_PIECE_PANELS);
        for (size_t r = 0; r < p->rows; r += 2 * PANEL)
            for (size_t q = group; q < end; q += 2)
                product_block(p, &(struct block){
                                     .rows = p->rows - r,
                                     .tall = p->rows - r > PANEL,
                                     .wide = q + 1 < end,
                                     .a = p->a + r * BP_STRIP,
                                     .b = p->b + q * p->b_stride,
                                     .start = p->start ? p->start + q * PANEL : NULL,
                                     .c = p->c + q * p->c_stride + r * PANEL,
                                 }, &fetching);
    }
    TILE_RELEASE();
}

#ifdef TRUE_TILES
END_TARGET
#endif
#endif

#if BP_AMX

bool
bp_has_amx(void)
{
    enum { TILE_STATES = 3 << 17, SYSTEM_SAVES = 1 << 27, BF16 = 1 << 22, TILES = 1 << 24 };
    unsigned a, b, c, d, low, high;

    if (!bp_has_avx512_bf16() || !__get_cpuid(1, &a, &b, &c, &d) || !(c & SYSTEM_SAVES))
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & TILE_STATES) == TILE_STATES && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (d & BF16) && (d & TILES);
}

bool
bp_may_use_amx(void)
{
    enum { ASK_FOR_STATE = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */

    return syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
}

const struct bp_mixed bp_mixed_amx = {
    .name = "amx",
    .piece_panels = BP_PIECE_PANELS,
    .piece_depth = BP_PIECE_DEPTH,
    .product = product,
    .left = bp_left_avx512,
    .left_turned = bp_left_turned_avx512,
    .right = bp_right_avx512,
    .right_turned = bp_right_turned_avx512,
};
#endif
