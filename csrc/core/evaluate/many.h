/* many.h: outputs, classes and losses of many samples, and their gradient, on several threads. The bits are
 * those of outputs.h and, but in lanes, of gradient.h. Depends on these, passes/ and base/. */
#ifndef BP_MANY_H
#define BP_MANY_H

#include "core/base/poll.h"
#include "gradient.h"
#include "outputs.h"

struct bp_many {
    const struct bp_network *net;
    const bp_real *parameters; /* [bp_room], storage order */
    const struct bp_data *data;
    size_t threads;
    struct bp_poll poll;
};

/* Whether bp_evaluate_many can read them: samples that are not sparse. */
bool
bp_may_divide(const struct bp_data *);

/* As bp_evaluate without dropout. BP_OK, BP_INTERRUPTED, BP_NO_MEMORY, BP_NO_THREAD or BP_TOO_LARGE. */
enum bp_status
bp_evaluate_many(const struct bp_many *, bool targets, struct bp_results *);

/* Whether bp_gradient_many has samples in lanes, which one thread gains by, too. */
bool
bp_gradient_in_lanes(const struct bp_network *, const struct bp_data *);

/* The same of any number of samples: of narrow networks with samples in lanes, of all others by groups of
 * bp_rows_of_sum rows. Each thread has groups of its own, which are added in order. Statuses as above. */
enum bp_status
bp_gradient_many(const struct bp_many *, struct bp_mean_gradient *);

#endif
