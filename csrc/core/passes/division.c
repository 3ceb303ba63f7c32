#include "division.h"

void
bp_add_places(const struct bp_network *net, size_t count, const struct bp_place *place, size_t panels,
              size_t rows)
{
    for (size_t q = 0; q < panels; q++)
        for (size_t apart = 1; apart < count; apart *= 2)
            for (size_t i = 0; i < count; i += 2 * apart) {
                bp_real *sum = bp_at(net, place[i].numbers, q * place[i].stride);
                const struct bp_place *other = &place[i + apart];
                net->kernels->add(rows * net->kernels->panel, sum,
                                  bp_at(net, other->numbers, q * other->stride), sum);
            }
}

/* A part of sums that a thread has room for */
static void
sum_tile(const struct bp_pass *pass, const struct bp_division *division, struct bp_part_of_sum part,
         const struct bp_product *whole)
{
    const struct bp_network *net = pass->net;
    const size_t panels = bp_panels(net, whole->depth), panel = net->kernels->panel;
    struct bp_place places[BP_QUARTERS];
    size_t first, last;

    bp_quarters_of(division, part, &first, &last);
    for (size_t s = first; s < last; s++) {
        struct bp_product product = *whole;
        size_t begin, end;
        bp_share(panels, division->quarters, s, &begin, &end);
        places[s - first] =
            s == first ? (struct bp_place){whole->c, whole->c_stride}
                       : (struct bp_place){bp_own_place(pass, s - first - 1), bp_padded(whole->rows) * panel};
        product.depth = bp_end_of(net, end, whole->depth) - begin * panel;
        product.a = bp_const_at(net, whole->a, begin * whole->a_stride);
        product.b = bp_const_at(net, whole->b, begin * panel * whole->b_row);
        product.c = places[s - first].numbers;
        product.c_stride = places[s - first].stride;
        if (s > 0)
            product.start = NULL;
        bp_product_over_depth(pass, &product);
    }
    bp_add_places(net, last - first, places, bp_panels(net, whole->columns), whole->rows);
}

void
bp_sum_quarters(const struct bp_pass *pass, const struct bp_division *division, struct bp_part_of_sum part,
                const struct bp_product *whole)
{
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel, panels = bp_panels(net, whole->columns);
    const size_t rows = bp_smaller(whole->rows, BP_OWN_ROWS), together = BP_OWN_ROOM / bp_padded(rows);

    for (size_t q = 0; q < panels; q += together)
        for (size_t r = 0; r < whole->rows; r += rows) {
            struct bp_product tile = *whole;
            tile.rows = bp_smaller(whole->rows - r, rows);
            tile.columns = bp_smaller(whole->columns - q * panel, together * panel);
            tile.a = bp_const_at(net, whole->a, r * whole->a_row);
            tile.b = bp_const_at(net, whole->b, q * whole->b_stride);
            tile.c = bp_at(net, whole->c, q * whole->c_stride + r * panel);
            tile.start = whole->start ? bp_const_at(net, whole->start, q * panel) : NULL;
            sum_tile(pass, division, part, &tile);
        }
}
