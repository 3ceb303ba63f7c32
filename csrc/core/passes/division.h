/* division.h: how the work on one layer's W is divided among a team. Depends on pass.h and grid.h.
 *
 * The weights of a large layer are owned in blocks. The inputs k have as many parts as the grid has rows,
 * the outputs j as many as it has columns, each of one or several quarters (network/quarters.h). Forward, a
 * thread sums its part of k for its outputs j; backward its part of j for its inputs k. So a weight stays in
 * one processor's cache through all passes, and a number of a or delta is read by a row or a column of the
 * grid only. Parts are added after all threads have met. Where there are more threads than blocks, the mates
 * of a block divide its columns going forward, and its rows going backward. Of all other layers, the sums
 * have one part and one quarter, and the shares are the threads'.
 */
#ifndef BP_DIVISION_H
#define BP_DIVISION_H

#include "grid.h"
#include "pass.h"

struct bp_division {
    size_t quarters; /* of each sum: BP_QUARTERS or 1 */
    struct bp_grid grid;
};

static inline struct bp_division
bp_division_of(const struct bp_pass *pass, size_t l)
{
    if (pass->mixed || !bp_is_large(pass->net, l))
        return (struct bp_division){1, {1, 1, pass->threads}};
    return (struct bp_division){BP_QUARTERS, bp_grid_of(pass->threads, pass->ws->rows)};
}

/* Forward, shares of a column follow each other, backward those of a row: a thread that has none left takes
 * from those first that read the same numbers. */

/* The outputs' panels [0, count), in pieces: pieces.group is the part of k to be summed. */
static inline struct bp_pieces
bp_divide_forward(const struct bp_pass *pass, const struct bp_division *division, size_t count, size_t grain)
{
    return bp_divide_among(pass, count, grain, division->grid.rows, pass->me);
}

/* The inputs' panels [0, count), in pieces: pieces.group is the part of j to be summed. */
static inline struct bp_pieces
bp_divide_backward(const struct bp_pass *pass, const struct bp_division *division, size_t count, size_t grain)
{
    const struct bp_grid *grid = &division->grid;
    size_t me = pass->me;

    if (grid->columns > 1) {
        const size_t row = pass->me % grid->rows, share = pass->me / grid->rows;
        const size_t column = share / grid->mates, mate = share % grid->mates;
        me = (row * grid->mates + mate) * grid->columns + column;
    }
    return bp_divide_among(pass, count, grain, grid->columns, me);
}

/* Part `number` of `count` parts of a sum */
struct bp_part_of_sum {
    size_t count, number;
};

/* Its quarters [*first, *last) */
static inline void
bp_quarters_of(const struct bp_division *division, struct bp_part_of_sum part, size_t *first, size_t *last)
{
    const size_t each = division->quarters / part.count;

    *first = part.number * each;
    *last = *first + each;
}

/* The panels [*first, *last) of `panels` that its terms are in */
static inline void
bp_panels_of_part(const struct bp_division *division, struct bp_part_of_sum part, size_t panels,
                  size_t *first, size_t *last)
{
    size_t begin, end, other;

    bp_quarters_of(division, part, &begin, &end);
    bp_share(panels, division->quarters, begin, first, &other);
    bp_share(panels, division->quarters, end - 1, &other, last);
}

/* Panels, `stride` from one to the next */
struct bp_place {
    bp_real *numbers;
    size_t stride;
};

/* Where this thread puts quarter i of those that it adds up itself, counted from its second: room for
 * BP_OWN_ROOM rows of a panel. */
static inline bp_real *
bp_own_place(const struct bp_pass *pass, size_t i)
{
    const struct bp_sum_parts *parts = &pass->ws->sum_parts;
    return bp_at(pass->net, parts->own, (pass->me * (BP_QUARTERS - 1) + i) * parts->own_each);
}

/* Of `count` panels of sums, those that a thread computes at a time where it computes them whole. */
static inline size_t
bp_panels_at_once(const struct bp_division *division, size_t count)
{
    return division->quarters > 1 ? BP_OWN_PANELS : count;
}

/* Where a part lies: part 0 where the sum will be, the others in the team's room for them; `at` numbers from
 * where the layer's first panel begins. */
static inline struct bp_place
bp_place_of_part(const struct bp_pass *pass, size_t number, struct bp_place sum, size_t stride, size_t at)
{
    const struct bp_sum_parts *parts = &pass->ws->sum_parts;

    if (number == 0)
        return sum;
    return (struct bp_place){bp_at(pass->net, parts->common, (number - 1) * parts->common_each + at), stride};
}

/* A part of the product's sums to its c, quarter by quarter. */
void
bp_sum_quarters(const struct bp_pass *, const struct bp_division *, struct bp_part_of_sum,
                const struct bp_product *);

/* The same for any layer. The product is changed. */
static inline void
bp_sum_part(const struct bp_pass *pass, const struct bp_division *division, struct bp_part_of_sum part,
            struct bp_product *product)
{
    if (division->quarters == 1)
        bp_product_over_depth(pass, product);
    else
        bp_sum_quarters(pass, division, part, product);
}

/* place[0] becomes the sum of all `count`, 1, 2 or 4, as quarters.h says; the others are changed. In `panels`
 * panels, of each `rows` rows. */
void
bp_add_places(const struct bp_network *, size_t count, const struct bp_place *place, size_t panels,
              size_t rows);

#endif
