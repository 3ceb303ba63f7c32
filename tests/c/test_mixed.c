/* Every table of kernels/mixed.h that this processor can use, and AMX's code on tiles emulated here, against
 * plain loops: how factors are rounded and laid out, and the bits of the sums, in the order that each table
 * has. With an argument other than "any" the table of that name must be among them. */
#define _DEFAULT_SOURCE 1 /* for what amx.c includes */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tiles of 16 rows of 64 bytes, as the manual describes them; subnormals aside. */
static struct {
    int configured;
    unsigned char line_bytes[8], rows[8];
    unsigned char data[8][16][64];
} tiles;

static void
tile_configure(const void *configuration)
{
    const unsigned char *c = configuration;
    tiles.configured = c[0] == 1;
    for (int t = 0; t < 8; t++) {
        tiles.line_bytes[t] = c[16 + 2 * t];
        tiles.rows[t] = c[48 + t];
    }
}

static void
tile_need(int t)
{
    if (!tiles.configured || tiles.rows[t] != 16 || tiles.line_bytes[t] != 64) {
        printf("tile %d is used as it is not configured\n", t);
        exit(1);
    }
}

static void
tile_load(int t, const void *from, size_t stride)
{
    tile_need(t);
    for (int r = 0; r < 16; r++)
        memcpy(tiles.data[t][r], (const char *)from + (size_t)r * stride, 64);
}

static void
tile_store(int t, void *to, size_t stride)
{
    tile_need(t);
    for (int r = 0; r < 16; r++)
        memcpy((char *)to + (size_t)r * stride, tiles.data[t][r], 64);
}

static float
number_at(const unsigned char *line, int i)
{
    const unsigned bits = (unsigned)(line[2 * i] | line[2 * i + 1] << 8) << 16;
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* for each of two terms of a row of B: in order over the 16 rows, from zero; then both */
static void
tile_add_products(int c, int a, int b)
{
    tile_need(a);
    tile_need(b);
    tile_need(c);
    for (int m = 0; m < 16; m++)
        for (int n = 0; n < 16; n++) {
            float even = 0, odd = 0, sum;
            for (int k = 0; k < 16; k++) {
                even += number_at(tiles.data[a][m], 2 * k) * number_at(tiles.data[b][k], 2 * n);
                odd += number_at(tiles.data[a][m], 2 * k + 1) * number_at(tiles.data[b][k], 2 * n + 1);
            }
            memcpy(&sum, tiles.data[c][m] + 4 * n, sizeof(sum));
            sum += even + odd;
            memcpy(tiles.data[c][m] + 4 * n, &sum, sizeof(sum));
        }
}

#define SEEN(memory) ((void)(memory))
#define TILE_CONFIGURE(configuration) tile_configure(configuration)
#define TILE_RELEASE() ((void)(tiles.configured = 0))
#define TILE_ZERO(tile) (tile_need(tile), (void)memset(tiles.data[tile], 0, sizeof(tiles.data[tile])))
#define TILE_LOAD(tile, from, stride) tile_load(tile, from, stride)
#define TILE_STORE(tile, to, stride) tile_store(tile, to, stride)
#define TILE_ADD_PRODUCTS(c, a, b) tile_add_products(c, a, b)
#define bp_mixed_amx emulated_tiles
#define bp_has_amx has_emulated_tiles
#define bp_may_use_amx may_use_emulated_tiles
#include "kernels/isa/amx.c"
#undef bp_mixed_amx
#undef bp_has_amx
#undef bp_may_use_amx
#if BP_AMX
extern const struct bp_mixed bp_mixed_amx;
bool bp_has_amx(void);
bool bp_may_use_amx(void);
#endif

static int failures;

static void
expect(int right, const char *table, const char *what, size_t rows, size_t columns, size_t depth)
{
    if (right)
        return;
    printf("%s: %s, %zu x %zu x %zu\n", table, what, rows, columns, depth);
    failures++;
}

static unsigned long long state = 1;

/* about -1 ... 1, with small ones, and now and then a tie between two bfloat16 */
static float
draw(void)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    const unsigned high = (unsigned)(state >> 40);
    if (high % 7 == 0) {
        const unsigned bits = 0x3f008000 + (high << 16 & 0x007f0000);
        float x;
        memcpy(&x, &bits, sizeof(x));
        return x;
    }
    return ((float)high / 8388608 - 1) * (high % 5 == 0 ? 1e-4F : 1);
}

static float
nearest(float x)
{
    unsigned bits;
    memcpy(&bits, &x, sizeof(bits));
    const unsigned cut = bits & 0xffff;
    bits -= cut;
    if (cut > 0x8000 || (cut == 0x8000 && (bits & 0x10000)))
        bits += 0x10000;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static int
same(float x, float y)
{
    return memcmp(&x, &y, sizeof(x)) == 0 || (x == 0 && y == 0);
}

enum { MOST = 80, ROOM = (MOST + 32) * (MOST + 32) * 4, LONGEST = 600 };

/* a matrix in panels, with numbers in its pads that must not matter */
static void
fill(float *m, size_t rows, size_t columns, size_t stride, float pad)
{
    for (size_t c = 0; c < (columns + 15) / 16 * 16; c++)
        for (size_t r = 0; r < rows; r++)
            m[c / 16 * stride + r * 16 + c % 16] = c < columns ? draw() : pad;
}

static float
entry(const float *m, size_t stride, size_t r, size_t c)
{
    return m[c / 16 * stride + r * 16 + c % 16];
}

/* A sum of the terms a[s] b[s], in the order of a table. */
static float
sum_of(int by_tiles, size_t depth, const float *a, const float *b, float start)
{
    for (size_t s = 0; s < depth && !by_tiles; s += 2)
        for (size_t i = 2; i-- > 0;)
            start += s + i < depth ? a[s + i] * b[s + i] : 0;
    for (size_t s = 0; s < depth && by_tiles; s += 32) {
        float sums[2] = {0, 0};
        for (size_t i = 0; i < 32 && s + i < depth; i++)
            sums[i % 2] += a[s + i] * b[s + i];
        start += sums[0] + sums[1];
    }
    return start;
}

enum how { FROM_ZERO, FROM_START, RESUMED, ADDED };

/* C of a product of left factors m_a, as they are or turned, and right ones m_b */
static void
check_product(const struct bp_mixed *table, size_t rows, size_t columns, size_t depth, int turned_a,
              int turned_b, enum how how)
{
    static float m_a[ROOM * 8], m_b[ROOM * 8], c[ROOM], before[ROOM], start[MOST + 32];
    static bp_bfloat16 a[ROOM * 8], b[ROOM * 8];
    const size_t c_stride = (rows + 3) * 16, deep = depth / 64 * 32;
    const size_t a_rows = turned_a ? depth : rows, a_columns = turned_a ? rows : depth;
    const size_t b_rows = turned_b ? columns : depth, b_columns = turned_b ? depth : columns;
    const size_t a_stride = (a_rows + 1) * 16, b_stride = (b_rows + 1) * 16;
    struct bp_rounding left = {a_rows, a_columns, m_a, a_stride, a, (rows + 17) / 16 * 16 * 32};
    struct bp_rounding right = {b_rows, b_columns, m_b, b_stride, b, (depth + 32) / 2 * 32};

    fill(m_a, a_rows, a_columns, a_stride, NAN);
    fill(m_b, b_rows, b_columns, b_stride, turned_b ? NAN : 0);
    fill(c, rows, (columns + 15) / 16 * 16, c_stride, 0);
    fill(start, 1, sizeof(start) / sizeof(*start), 16, 0);
    memcpy(before, c, sizeof(c));
    memset(a, 0xff, sizeof(a)); /* NaN: what must be a zero and is none, shows */
    memset(b, 0xff, sizeof(b));
    if (turned_a)
        table->left_turned(&left);
    else {
        const size_t panels = (depth + 15) / 16;
        table->left(&left, panels / 3, panels);
        table->left(&left, 0, panels / 3);
    }
    (turned_b ? table->right_turned : table->right)(&right);

    struct bp_mixed_product p = {
        .rows = rows, .columns = columns, .depth = how == RESUMED && deep ? deep : depth,
        .a = a, .a_stride = left.out_stride, .b = b, .b_stride = right.out_stride,
        .c = c, .c_stride = c_stride, .start = how == FROM_START || how == RESUMED ? start : NULL,
        .add = how == ADDED};
    table->product(&p);
    if (how == RESUMED && deep) {
        p.a += deep / 32 * p.a_stride;
        p.b += deep / 2 * 32;
        p.depth = depth - deep;
        p.resume = true;
        table->product(&p);
    }

    int right_sums = 1, untouched = 1;
    for (size_t r = 0; r < rows + 3; r++)
        for (size_t j = 0; j < columns; j++) {
            float x[LONGEST], y[LONGEST];
            const float was = entry(before, c_stride, r, j);
            if (r >= rows) {
                untouched &= same(entry(c, c_stride, r, j), was);
                continue;
            }
            for (size_t s = 0; s < depth; s++) {
                x[s] = nearest(turned_a ? entry(m_a, a_stride, s, r) : entry(m_a, a_stride, r, s));
                y[s] = nearest(turned_b ? entry(m_b, b_stride, j, s) : entry(m_b, b_stride, s, j));
            }
            const int by_tiles = strncmp(table->name, "amx", 3) == 0;
            const float sum = sum_of(by_tiles, depth, x, y, p.start ? start[j] : 0);
            right_sums &= same(entry(c, c_stride, r, j), how == ADDED ? was + sum : sum);
        }
    expect(right_sums, table->name, "the sums are others", rows, columns, depth);
    expect(untouched, table->name, "rows past the last one are written", rows, columns, depth);
}

static void
check_table(const struct bp_mixed *table)
{
    static const size_t sizes[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 48, 64, 65, 80};
    enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < SIZES; j++) {
            const size_t depth = (i * 37 + j * 11) % 90 + 1;
            for (int k = 0; k < 4; k++)
                check_product(table, sizes[i], sizes[j], depth, k % 2, k / 2, (enum how)((i + j + (size_t)k) % 4));
        }
    for (int how = 0; how < 4; how++)
        check_product(table, 37, 80, 513, how % 2, how / 2, (enum how)how);
}

/* special numbers, one at a time, in a product with 1 */
static void
check_rounding(const struct bp_mixed *table)
{
    static const unsigned long pairs[][2] = {
        {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x7f7fffff, 0x7f80},
        {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x00000001, 0x0000}, {0x807fffff, 0x8000},
        {0x00800000, 0x0080}, {0x7fc12345, 0x7fc1}, {0x7f800001, 0x7fc0}, {0xbf80ffff, 0xbf81}};

    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        const unsigned bits = (unsigned)pairs[i][0];
        float m[32] = {0};
        bp_bfloat16 out[32 * 32];
        memcpy(m, &bits, sizeof(bits));
        table->left(&(struct bp_rounding){1, 1, m, 16, out, 32 * 16}, 0, 1);
        expect(out[0] == pairs[i][1], table->name, "a left factor is rounded otherwise", i, out[0], 0);
        table->right(&(struct bp_rounding){1, 1, m, 16, out, 32 * 16});
        expect(out[0] == pairs[i][1], table->name, "a right factor is rounded otherwise", i, out[0], 0);
    }
}

int
main(int argc, char **argv)
{
    const char *named = argc > 1 ? argv[1] : "any";
    struct bp_mixed by_tiles = bp_mixed_emulated;
    const struct bp_mixed *tables[5] = {&bp_mixed_emulated, &by_tiles};
    size_t count = 2;
    int found = strcmp(named, "any") == 0;

    by_tiles.name = "amx, emulated";
    by_tiles.product = product;
#if BP_X86_BF16
    if (bp_has_avx512_bf16())
        tables[count++] = &bp_mixed_avx512_bf16;
#endif
#if BP_AMX /* tiles as they are, factors rounded as for true ones */
    if (bp_has_avx512_bf16())
        tables[count++] = &emulated_tiles;
#endif
#if BP_AMX
    if (bp_has_amx() && bp_may_use_amx())
        tables[count++] = &bp_mixed_amx;
#endif
    for (size_t i = 0; i < count; i++) {
        check_table(tables[i]);
        check_rounding(tables[i]);
        found |= strcmp(tables[i]->name, named) == 0;
        expect(!tiles.configured, tables[i]->name, "tiles are kept", 0, 0, 0);
    }
    if (!found)
        printf("no table %s\n", named);
    printf("%zu tables, %d failures\n", count, failures);
    return failures > 0 || !found;
}
