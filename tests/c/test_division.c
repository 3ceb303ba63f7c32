/* How the W of a large layer is divided among a team: each weight has one owner going forward and one going backward,
 * who is the same where the threads form a whole grid, and a mate otherwise; and few threads read a number of a or
 * delta. Prints what fails. */
#include <stdio.h>

#include "core/passes/division.h"
#include "kernels/kernels.h"

enum { MOST = 64, PANELS = 131, FEW = 1024, MANY = 1025 /* rows */ };

static int failures;

static void
expect(bool right, const char *what, size_t threads)
{
    if (!right && ++failures < 10)
        printf("FAILED: %s: %zu threads\n", what, threads);
}

/* The share that is a thread's before it takes from others': of all panels, and of a sum's terms */
struct share {
    size_t first, last, first_term, last_term;
};

static struct share
share_of(const struct bp_division *division, struct bp_pieces pieces)
{
    const struct bp_part_of_sum part = {pieces.groups, pieces.me % pieces.groups};
    struct share share;

    bp_share(pieces.count, pieces.threads / pieces.groups, pieces.me / pieces.groups, &share.first, &share.last);
    bp_panels_of_part(division, part, PANELS, &share.first_term, &share.last_term);
    return share;
}

static bool
sums(const struct share *share, size_t term)
{
    return share->first_term <= term && term < share->last_term;
}

static bool
has(const struct share *share, size_t at)
{
    return share->first <= at && at < share->last;
}

static void
check(const struct bp_network *net, size_t threads, size_t rows)
{
    struct share forward[MOST], backward[MOST];
    struct bp_workspace ws = {.rows = rows};
    struct bp_grid grid = bp_grid_of(threads, rows);
    size_t others = 0; /* weights whose owners are not even mates */

    for (size_t me = 0; me < threads; me++) {
        const struct bp_pass pass = {.net = net, .ws = &ws, .me = me, .threads = threads};
        const struct bp_division division = bp_division_of(&pass, 1);
        forward[me] = share_of(&division, bp_divide_forward(&pass, &division, PANELS, 1));
        backward[me] = share_of(&division, bp_divide_backward(&pass, &division, PANELS, 1));
    }
    for (size_t k = 0; k < PANELS; k++)
        for (size_t j = 0; j < PANELS; j++) {
            size_t one = threads, other = threads, owners = 0;
            for (size_t me = 0; me < threads; me++) {
                if (has(&forward[me], j) && sums(&forward[me], k))
                    owners++, one = me;
                if (has(&backward[me], k) && sums(&backward[me], j))
                    owners++, other = me;
            }
            expect(owners == 2 && one < threads && other < threads, "one owner going forward, one going backward",
                   threads);
            others += one % grid.rows != other % grid.rows ||
                      one / grid.rows / grid.mates != other / grid.rows / grid.mates ||
                      (grid.mates == 1 && one != other);
        }
    /* where there are mates, their shares together may end some panels from where the block ends */
    expect(others <= (grid.mates == 1 ? 0 : PANELS * PANELS / 8), "the owners are one, or mates", threads);
}

/* The threads that read a panel of a going forward, or of delta going backward, are a row or a column. */
static void
check_readers(const struct bp_network *net, size_t threads, size_t rows, size_t of_a, size_t of_delta)
{
    struct bp_workspace ws = {.rows = rows};

    for (size_t term = 0; term < PANELS; term++) {
        size_t readers[2] = {0};
        for (size_t me = 0; me < threads; me++) {
            const struct bp_pass pass = {.net = net, .ws = &ws, .me = me, .threads = threads};
            const struct bp_division division = bp_division_of(&pass, 1);
            const struct share shares[] = {
                share_of(&division, bp_divide_forward(&pass, &division, PANELS, 1)),
                share_of(&division, bp_divide_backward(&pass, &division, PANELS, 1)),
            };
            for (size_t i = 0; i < 2; i++)
                readers[i] += sums(&shares[i], term);
        }
        expect(readers[0] == of_a && readers[1] == of_delta, "readers of a and delta", threads);
    }
}

int
main(void)
{
    struct bp_kernels set = {.size = 4, .panel = 16};
    struct bp_layer layers[2] = {{.inputs = 4, .outputs = 16 * PANELS},
                                 {.inputs = 16 * PANELS, .outputs = 16 * PANELS}};
    const struct bp_network net = {.kernels = &set, .count = 2, .layers = layers};

    for (size_t threads = 1; threads <= MOST; threads++) {
        check(&net, threads, FEW);
        check(&net, threads, MANY);
    }
    check_readers(&net, 16, FEW, 4, 4);
    check_readers(&net, 8, FEW, 4, 2);
    check_readers(&net, 4, FEW, 2, 2);
    check_readers(&net, 2, FEW, 2, 2);
    check_readers(&net, 6, FEW, 6, 6);
    check_readers(&net, 12, FEW, 6, 6);
    check_readers(&net, 64, FEW, 16, 16);
    check_readers(&net, 17, FEW, 17, 17);
    check_readers(&net, 16, MANY, 8, 8);
    for (size_t threads = 1; threads <= MOST; threads++)
        for (size_t rows = FEW; rows <= MANY; rows++) {
            const struct bp_grid grid = bp_grid_of(threads, rows);
            const size_t most = bp_most_parts(threads, rows);
            expect(grid.rows * grid.columns * grid.mates == threads, "a grid of all threads", threads);
            expect(grid.rows <= most && grid.columns <= most, "room for parts", threads);
        }
    fflush(stdout); /* the tests load it as a library, which does not end here */
    return failures > 0;
}
