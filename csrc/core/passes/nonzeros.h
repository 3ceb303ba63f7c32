/* nonzeros.h: a batch of sparse samples, in the place of ws->x: its non-zeros by rows and, where a
 * gradient is wanted, by columns. Depends on network/ and base/. */
#ifndef BP_NONZEROS_H
#define BP_NONZEROS_H

#include "core/network/layout.h"

/* A thread's groups: columns k that leave the remainder `me` when divided by the threads. */
struct bp_groups_of_thread {
    size_t first, count;
};

struct bp_nonzeros {
    /* there is room for; `grouped`: by columns too */
    struct {
        size_t rows, count, threads;
        bool grouped;
    } room;
    size_t bytes; /* of all this */

    size_t *begins;  /* [rows + 1], of each row */
    uint32_t *k;     /* [count + BP_PAST] */
    bp_real *values; /* [count] */

    /* by columns, and within one in the order of the samples */
    uint32_t *sorted_rows;   /* [count] */
    bp_real *sorted_values;  /* [count] */
    struct bp_group *groups; /* [count]: each thread's begin where non-zeros of others end */
    uint32_t *group_of;      /* [inputs]: 1 + the place of k's group, or 0 for a column of zeros */
    struct bp_groups_of_thread *of_thread; /* [threads] */
    size_t threads;                        /* that grouped them */
};

/* Makes room, where there is not enough: anew, with *nonzeros NULL at first, or instead of what is
 * there. BP_OK, or BP_NO_MEMORY or BP_TOO_LARGE and *nonzeros is NULL. */
enum bp_status
bp_nonzeros_lay_out(struct bp_nonzeros **nonzeros, const struct bp_network *, size_t rows,
                    size_t count, size_t threads, bool grouped);

/* Leaves NULL. */
void
bp_nonzeros_free(struct bp_nonzeros **nonzeros);

#endif
