/* population_outputs.h: outputs, classes and losses of samples, of all members of a population.
 * Depends on population.h. */
#ifndef BP_POPULATION_OUTPUTS_H
#define BP_POPULATION_OUTPUTS_H

#include "population.h"

/* What is asked of all members, and where it goes; NULL for what is not wanted. */
struct bp_members_asked {
    const struct bp_network *net;
    size_t members;
    const bp_real *parameters; /* [members][net->parameters] */
    struct bp_member_data data;
    bp_real *outputs; /* [members][samples][outputs] */
    double *losses;   /* [members], C; needs targets */
    double *right;    /* [members], the part of samples that are classified right; likewise */
    size_t threads;
    struct bp_poll poll;
};

/* BP_OK, BP_NO_MEMORY, BP_TOO_LARGE, BP_NO_THREAD, BP_INTERRUPTED, or BP_FAILED. */
enum bp_status
bp_ask_members(const struct bp_members_asked *);

#endif
