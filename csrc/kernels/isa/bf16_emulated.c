/* bfloat16 in plain C, for any processor: slow, to compare with. The sums are in the order of
 * VDPBF16PS, of each two terms the second first, and have its bits where no product or sum is
 * subnormal, which VDPBF16PS makes zero. */
#include "bf16.h"

enum { PANEL = 16 };

static bp_bfloat16
rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    const uint32_t magnitude = bits & 0x7fffffff;

    if (magnitude < 0x00800000) /* zero and subnormals */
        return (bp_bfloat16)(bits >> 16 & 0x8000);
    if (magnitude > 0x7f800000) /* NaN: quiet, whatever is cut off */
        return (bp_bfloat16)(bits >> 16 | 0x40);
    return (bp_bfloat16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float
widened(bp_bfloat16 x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float wide;
    memcpy(&wide, &bits, sizeof(wide));
    return wide;
}

static size_t
whole_strips(size_t depth)
{
    return (depth + BP_STRIP - 1) / BP_STRIP * BP_STRIP;
}

/* m[r][c], or 0 where there is none */
static float
entry(const struct bp_rounding *p, size_t r, size_t c)
{
    return r < p->rows && c < p->columns ? p->m[c / PANEL * p->stride + r * PANEL + c % PANEL] : 0;
}

static void
set_left(const struct bp_rounding *p, size_t r, size_t s, float x)
{
    p->out[s / BP_STRIP * p->out_stride + r * BP_STRIP + s % BP_STRIP] = rounded(x);
}

static void
set_right(const struct bp_rounding *p, size_t s, size_t j, float x)
{
    p->out[j / PANEL * p->out_stride + s / 2 * BP_STRIP + 2 * (j % PANEL) + s % 2] = rounded(x);
}

static void
left(const struct bp_rounding *p, size_t first, size_t last)
{
    const size_t end = last * PANEL < p->columns ? last * PANEL : whole_strips(p->columns);

    for (size_t r = 0; r < p->rows; r++)
        for (size_t s = first * PANEL; s < end; s++)
            set_left(p, r, s, entry(p, r, s));
}

static void
left_turned(const struct bp_rounding *p)
{
    for (size_t r = 0; r < p->columns; r++)
        for (size_t s = 0; s < whole_strips(p->rows); s++)
            set_left(p, r, s, entry(p, s, r));
}

static void
right(const struct bp_rounding *p)
{
    const size_t panels = (p->columns + PANEL - 1) / PANEL;

    for (size_t j = 0; j < panels * PANEL; j++)
        for (size_t s = 0; s < whole_strips(p->rows); s++)
            set_right(p, s, j,
                      s < p->rows ? p->m[j / PANEL * p->stride + s * PANEL + j % PANEL] : 0);
}

static void
right_turned(const struct bp_rounding *p)
{
    const size_t panels = (p->rows + PANEL - 1) / PANEL;

    for (size_t j = 0; j < panels * PANEL; j++)
        for (size_t s = 0; s < whole_strips(p->columns); s++)
            set_right(p, s, j, entry(p, j, s));
}

/* a row of a panel of C */
static void
product_row(const struct bp_mixed_product *p, size_t r, size_t q)
{
    const bp_bfloat16 *b = p->b + q * p->b_stride;
    float *c = p->c + q * p->c_stride + r * PANEL, sum[PANEL] = {0};

    if (p->resume)
        memcpy(sum, c, sizeof(sum));
    else if (p->start)
        memcpy(sum, p->start + q * PANEL, sizeof(sum));
    for (size_t s = 0; s < p->depth; s += 2, b += BP_STRIP) {
        const bp_bfloat16 *a = p->a + s / BP_STRIP * p->a_stride + r * BP_STRIP + s % BP_STRIP;
        for (size_t i = 2; i-- > 0;)
            for (size_t j = 0; j < PANEL; j++)
                sum[j] += widened(a[i]) * widened(b[2 * j + i]);
    }
    for (size_t j = 0; j < PANEL; j++)
        c[j] = p->add ? c[j] + sum[j] : sum[j];
}

static void
product(const struct bp_mixed_product *p)
{
    for (size_t j = 0; j < p->columns; j += PANEL)
        for (size_t r = 0; r < p->rows; r++)
            product_row(p, r, j / PANEL);
}

const struct bp_mixed bp_mixed_emulated = {
    .name = "emulated",
    .piece_panels = 3,
    .piece_depth = 256,
    .product = product,
    .left = left,
    .left_turned = left_turned,
    .right = right,
    .right_turned = right_turned,
};
