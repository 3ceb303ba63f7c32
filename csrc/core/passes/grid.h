/* grid.h: the grid that the threads of a team form for a large layer. Depends on network/quarters.h. */
#ifndef BP_GRID_H
#define BP_GRID_H

#include "core/network/quarters.h"

/* rows * columns * mates are the threads; rows and columns are divisors of BP_QUARTERS. */
struct bp_grid {
    size_t rows, columns, mates;
};

/* The most parts of a sum over a workspace's rows. Parts take memory for each row, and what they save of W's way
 * from cache to cache counts the less, the more rows there are. */
static inline size_t
bp_most_parts_of(size_t rows)
{
    enum { MANY = 1024 };
    return rows > MANY ? 2 : BP_QUARTERS;
}

/* As many blocks as the quarters allow, and as square as can be: 16 threads are 4 x 4, 8 are 2 x 4, 4 are 2 x 2;
 * all of them are 2 x 2 where the workspace has many rows. Where there are not four threads or a multiple of it,
 * all are mates of one block. */
static inline struct bp_grid
bp_grid_of(size_t threads, size_t rows)
{
    struct bp_grid grid = {1, 1, threads};
    const size_t most = bp_most_parts_of(rows);

    if (threads % 4 > 0)
        return grid;
    while (grid.mates % 2 == 0 && grid.rows < most) {
        if (grid.columns == grid.rows)
            grid.columns *= 2;
        else
            grid.rows *= 2;
        grid.mates /= 2;
    }
    return grid;
}

/* The most rows or columns of the grid of any team of `threads` or fewer. */
static inline size_t
bp_most_parts(size_t threads, size_t rows)
{
    size_t most = 1;

    for (size_t few = 2; few <= threads && most < BP_QUARTERS; few *= 2)
        most = bp_grid_of(few, rows).columns;
    return most;
}

#endif
