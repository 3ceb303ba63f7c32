/* member.h: one member of a population as a training of its own. Depends on population.h. */
#ifndef BP_MEMBER_H
#define BP_MEMBER_H

#include "population.h"

/* Some epochs of a population's training, in each of which all members draw the same where `random`
 * is one for all. */
struct bp_span {
    size_t first, epochs;
};

/* The optimizer of member i. */
struct bp_optimizer
bp_optimizer_of_member(const struct bp_population *, size_t i);

/* Its training, `optimizer` being its own. */
struct bp_training
bp_training_of_member(const struct bp_population *, struct bp_span, size_t i,
                      struct bp_optimizer *optimizer, const struct bp_random *random, struct bp_poll);

/* Trains member i; BP_OK also where it diverged, which then is no longer active. */
enum bp_status
bp_train_member(const struct bp_population *, struct bp_span, size_t i,
                const struct bp_random *random, struct bp_poll);

#endif
