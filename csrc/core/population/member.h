/* member.h: one member of a population as a training of its own. Depends on population.h. */
#ifndef BP_MEMBER_H
#define BP_MEMBER_H

#include "population.h"

/* Some epochs of a population's training, in each of which all members draw the same where `random`
 * is one for all. */
struct bp_span {
    size_t first, epochs;
};

/* l1 and l2 of layer l of member i. */
struct bp_penalty {
    double l1, l2;
};
struct bp_penalty
bp_penalty_of_member(const struct bp_population *, size_t i, size_t l);

/* Whether any layer of it has either. */
bool
bp_member_is_penalized(const struct bp_population *, size_t i);

/* The network of member i: that of all, with penalties of its own. `layers`: room for net->count. */
struct bp_network
bp_network_of_member(const struct bp_population *, size_t i, struct bp_layer *layers);

/* The optimizer of member i. */
struct bp_optimizer
bp_optimizer_of_member(const struct bp_population *, size_t i);

/* Whether its steps are plain ones: bp_is_plain. */
bool
bp_member_is_plain(const struct bp_population *, size_t i);

/* Its training, `net` and `optimizer` being its own, but for a record. */
struct bp_training
bp_training_of_member(const struct bp_population *, struct bp_span, size_t i,
                      const struct bp_network *net, struct bp_optimizer *optimizer,
                      const struct bp_random *random, struct bp_poll);

/* Trains member i; BP_OK also where it diverged, which then is no longer active; or BP_NO_MEMORY. */
enum bp_status
bp_train_member(const struct bp_population *, struct bp_span, size_t i,
                const struct bp_random *random, struct bp_poll);

#endif
