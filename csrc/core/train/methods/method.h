/* method.h: how the steps of a training are done; the bits are the same. A new way of doing them is
 * a file of its own and a line in methods.c. Depends on run.h.
 *
 * Every thread of the team calls step and finish; one thread calls the rest. */
#ifndef BP_METHOD_H
#define BP_METHOD_H

#include "core/train/run.h"

struct method {
    const char *name;
    bool one_thread; /* a step takes nanoseconds: there is nothing to share */
    bool settles;    /* its step calls bp_settle_order(), where that is left to it */
    /* Whether it can do what is asked, `batch` samples a step. */
    bool (*suits)(const struct bp_training *, size_t batch);
    /* The rows that are loaded together, each step taking `batch` of them. */
    size_t (*rows)(size_t batch);
    /* The rows that run->ws has room for. NULL: for all of those. */
    size_t (*room)(const struct bp_training *, size_t batch);
    /* Memory of its own, run->own; run->ws and run->vectors are there. BP_OK, BP_NO_MEMORY or
     * BP_TOO_LARGE. NULL: it needs none. */
    enum bp_status (*open)(struct run *);
    /* The steps of `rows`, which `next` follow; false when training ends here. */
    bool (*step)(struct worker *, const struct bp_rows *rows, const struct bp_rows *next);
    /* A step that was put off. Then bp_meet(). NULL: it puts none off. */
    void (*finish)(struct worker *);
    /* Gives back what open took, also where that failed. NULL: nothing. */
    void (*close)(struct run *);
};

/* any batch, any optimizer and any network; a sample a step, plain descent; the same for the
 * smallest networks, and with a rule; many samples of networks that are not large */
extern const struct method bp_batches, bp_online, bp_chain, bp_chain_by_rule, bp_groups;

/* The fastest that suits. */
const struct method *
bp_best_method(const struct bp_training *, size_t batch);

#endif
