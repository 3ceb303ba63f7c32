#include "method.h"

const struct method *
bp_best_method(const struct bp_training *t, size_t batch)
{
    /* the fastest first; the last suits always */
    static const struct method *const methods[] = {&bp_chain, &bp_chain_by_rule, &bp_online,
                                                   &bp_groups, &bp_batches};
    size_t i = 0;

    if (t->settings.mixed)
        return &bp_batches; /* alone knows of rounded factors */
    while (!methods[i]->suits(t, batch))
        i++;
    return methods[i];
}
