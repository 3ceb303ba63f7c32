/* line_search.h: a step along a direction that satisfies the strong Wolfe conditions
 *
 *   f(step) ≤ f(0) + c₁ step f'(0)        |f'(step)| ≤ c₂ |f'(0)|
 *
 * or, where rounding decides which value is lower, what the slopes say of it. By the method of
 * J. J. Moré and D. J. Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM
 * Transactions on Mathematical Software 20, 1994. Depends on libc only. */
#ifndef BP_LINE_SEARCH_H
#define BP_LINE_SEARCH_H

#include <stdbool.h>

/* A point on the line: how far, the value there, and the slope. */
struct bp_on_line {
    double step, value, slope;
};

struct bp_line_search {
    struct bp_on_line start; /* step 0; its slope is below 0 */
    struct bp_on_line best, other; /* the ends of the interval of a solution; best is lower */
    double least, most;            /* where the next step may lie */
    double width, width_before;
    bool bracketed;     /* the solution lies between the two */
    bool decrease_met; /* from then on the function itself is looked at */
};

enum bp_search { BP_SEARCH_ON, BP_SEARCH_FOUND, BP_SEARCH_STUCK };

void
bp_line_search_begin(struct bp_line_search *, struct bp_on_line start, double step);

/* Takes what was found at `at`. BP_SEARCH_FOUND: it satisfies the conditions. BP_SEARCH_ON: *next
 * is the step to try next. BP_SEARCH_STUCK: rounding leaves nothing to try. */
enum bp_search
bp_line_search_take(struct bp_line_search *, struct bp_on_line at, double *next);

#endif
