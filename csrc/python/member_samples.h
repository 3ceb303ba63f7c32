/* member_samples.h: the samples of a population's members: one set for all, or one for each.
 * Depends on arguments.h, samples.h and core/population/. */
#ifndef BP_MEMBER_SAMPLES_H
#define BP_MEMBER_SAMPLES_H

#include "arguments.h"
#include "samples.h"

#include "core/population/population.h"

/* what a method is given of samples; NULL for what it is not */
struct bp_given_member_samples {
    PyObject *x, *y, *sample_weight, *target_mask;
    bool own_x, own_y, own_weight, own_mask; /* has a first axis of members */
};

/* their lines of a table of arguments, `at` being where the struct lies */
#define BP_MEMBER_SAMPLES_AT(at, field) (at) + offsetof(struct bp_given_member_samples, field)
#define BP_MEMBER_X(at)                                                                            \
    {"x", BP_ARG_OBJECT, BP_MEMBER_SAMPLES_AT(at, x), true, 0},                                    \
        {"own_x", BP_ARG_FLAG, BP_MEMBER_SAMPLES_AT(at, own_x), false, 0}
#define BP_MEMBER_Y(at)                                                                            \
    {"y", BP_ARG_OBJECT, BP_MEMBER_SAMPLES_AT(at, y), true, 0},                                    \
        {"own_y", BP_ARG_FLAG, BP_MEMBER_SAMPLES_AT(at, own_y), false, 0}
#define BP_MEMBER_BESIDE(at)                                                                       \
    {"sample_weight", BP_ARG_OPTIONAL, BP_MEMBER_SAMPLES_AT(at, sample_weight), false, 0},         \
        {"target_mask", BP_ARG_OPTIONAL, BP_MEMBER_SAMPLES_AT(at, target_mask), false, 0},         \
        {"own_weight", BP_ARG_FLAG, BP_MEMBER_SAMPLES_AT(at, own_weight), false, 0},               \
        {"own_mask", BP_ARG_FLAG, BP_MEMBER_SAMPLES_AT(at, own_mask), false, 0}

/* the samples, and the objects that keep them alive */
struct bp_member_samples {
    struct bp_samples *held; /* one, or one for each member; NULL for none */
    struct bp_data *data;    /* as many, for the core */
    size_t count;
};

/* Fills `samples`, y being NULL for none; all members have as many samples. `prefix` goes before the names
 * in messages: "validation ", or "". 0, or -1 with an exception; to be released in any case. */
int bp_read_member_samples(struct bp_member_samples *samples, const struct bp_network *,
                           size_t members, const struct bp_given_member_samples *,
                           const char *prefix);
void bp_release_member_samples(struct bp_member_samples *);

static inline struct bp_member_data
bp_member_data_of(const struct bp_member_samples *samples)
{
    return (struct bp_member_data){samples->data, samples->count > 1};
}

#endif
