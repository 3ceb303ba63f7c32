/* many.h: what a network says of many samples, and its gradient, on several threads, each with rows
 * of its own. The bits are those of outputs.h and gradient.h. Depends on outputs.h, passes/ and base/. */
#ifndef BP_MANY_H
#define BP_MANY_H

#include "core/base/poll.h"
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

/* Whether bp_gradient_many can do it: of narrow networks, with samples in lanes. */
bool
bp_gradient_may_divide(const struct bp_network *, const struct bp_data *);

/* As bp_gradient; C in *loss. Statuses as above. */
enum bp_status
bp_gradient_many(const struct bp_many *, bp_real *gradient, bp_real *inputs, double *loss);

#endif
