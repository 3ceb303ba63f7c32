/* population.h: many networks of one shape: what their training is asked to do, which it only reads,
 * and what is computed with all of them. Member i gets the bits that bp_train would give it alone.
 * Depends on train/ and evaluate/. */
#ifndef BP_POPULATION_H
#define BP_POPULATION_H

#include "core/train/training.h"

/* Numbers of an optimizer that may differ from member to member, in the order of a row of
 * bp_population.numbers: an enumerator, and its field of bp_optimizer. */
#define BP_EACH_MEMBER_NUMBER(NUMBER)                                                              \
    NUMBER(BP_MEMBER_RATE, rate)                                                                   \
    NUMBER(BP_MEMBER_MOMENTUM, momentum)                                                           \
    NUMBER(BP_MEMBER_DECAY, decay)                                                                 \
    NUMBER(BP_MEMBER_BETA_1, beta_1)                                                               \
    NUMBER(BP_MEMBER_BETA_2, beta_2)                                                               \
    NUMBER(BP_MEMBER_EPSILON, epsilon)                                                             \
    NUMBER(BP_MEMBER_CLIP_NORM, clip_norm)                                                         \
    NUMBER(BP_MEMBER_CLIP_VALUE, clip_value)

#define BP_ENUMERATOR(enumerator, field) enumerator,
enum bp_member_number { BP_EACH_MEMBER_NUMBER(BP_ENUMERATOR) BP_MEMBER_NUMBERS };
#undef BP_ENUMERATOR

/* What members have each: vectors in storage order, one after the other. */
struct bp_members {
    size_t count;
    bp_real *parameters;       /* [count][net->parameters] */
    bp_real *state[BP_STATES]; /* the same, or NULL where no member needs it */
    uint64_t *steps;           /* [count]: the optimizer's so far */
    uint8_t *active;           /* [count]: 1 for those that are trained; 0 once one has diverged */
};

/* Samples: one for all members, or, with `own`, one for each. NULL for none. */
struct bp_member_data {
    const struct bp_data *of;
    bool own;
};

/* How members are trained; the bits are the same. */
enum bp_way {
    BP_FASTEST,
    BP_ONE_BY_ONE,
    BP_IN_LANES /* wherever they can be, also where that is slower */
};

/* When a member's training ends by itself: its objective does not fall any more. [count] each; core/population/patience.h
 * has the rule. No tol, no such end. */
struct bp_patience {
    const double *tol;  /* by how much the objective is to fall, */
    const double *most; /* but for at most so many epochs in a row */
    double *best;       /* the lowest objective, negative; -INFINITY before the first */
    uint64_t *waited;   /* epochs in a row in which it did not fall so */
    uint64_t *epochs;   /* that were trained */
    uint8_t *ended;     /* 1 for those whose training has ended so; they are no longer active */
    bp_real *kept;      /* [count][net->parameters]: parameters with the lowest objective */
    double *objective;  /* [epochs of this call][count]; what is not trained is not written */
};

/* What ends a member's training besides: a figure that does not get better any more, or a loss that is low enough.
 * [count] each; core/population/monitor.h has the rule. No ended, no such end. */
struct bp_monitor {
    enum bp_figure figure;
    bool rises;           /* it is the better the larger it is */
    const double *spread; /* 1 - figure / spread is looked at instead, R²; or NULL */
    double least;         /* what is better by no more is not better */
    uint64_t patience;    /* so many epochs in a row without a better one end it */
    double target;        /* and so does a loss that is no larger */
    uint64_t before;      /* epochs of this training before this call */
    double *best;         /* the best figure so far */
    uint64_t *best_epoch; /* the epoch that had it, from 1; 0 before the first */
    uint64_t *epochs;     /* that were trained in this call */
    uint8_t *ended;       /* an enum bp_end; those whose training has ended are no longer active */
    bp_real *kept;        /* [count][net->parameters]: parameters after the best epoch; NULL: only the target counts */
};
enum bp_end { BP_GOES_ON, BP_OUT_OF_PATIENCE, BP_AT_TARGET };

struct bp_population {
    const struct bp_network *net;
    struct bp_members members;
    struct bp_optimizer optimizer; /* its states and its steps have no meaning here */
    const double *numbers;         /* [members][BP_MEMBER_NUMBERS] instead of the optimizer's, or NULL */
    const double *penalties;       /* [members][layers][2]: l1 and l2 instead of the layers', or NULL */
    struct {
        const double *of; /* a learning rate for each step of this call, instead of all, or NULL */
        bool own;         /* [members][steps] */
    } rates;
    struct bp_member_data data, validation;
    struct {
        const uint32_t *rows; /* [members][count]: rows of the data, or NULL for all, in their order */
        size_t count;
    } chosen;
    struct {
        const struct bp_random *of; /* one for each member, or NULL */
        bool one;                   /* for all: one order and one dropout an epoch */
        bool alike;                 /* a guess: all will draw the same; the bits do not depend on it */
    } random;
    struct bp_patience patience; /* needs the record of losses */
    struct bp_monitor monitor;   /* the same, and that of its figure */
    enum bp_way way;
    double *record[BP_FIGURES];  /* [epochs][members] each, or NULL where it is not wanted; NaN is written
                                    of members that are active, for the epoch in which one diverged and all later ones.
                                    Blocks know nothing of BP_SECONDS and BP_GRADIENT_NORM */
    struct bp_settings settings; /* threads: members are divided among them; no budget */
    struct bp_poll poll;
};

/* Samples of an epoch. */
static inline size_t
bp_member_samples(const struct bp_population *p)
{
    return p->chosen.rows ? p->chosen.count : p->data.of->x.rows;
}

/* Steps of an epoch. */
static inline size_t
bp_member_steps(const struct bp_population *p)
{
    const size_t samples = bp_member_samples(p), batch = p->settings.batch;
    return samples / batch + (samples % batch > 0);
}

/* A figure of all members in one epoch, [members], or NULL where it is not wanted. */
static inline double *
bp_figure_of(const struct bp_population *p, enum bp_figure figure, size_t epoch)
{
    double *const figures = p->record[figure];
    return figures ? figures + epoch * p->members.count : NULL;
}

static inline const struct bp_data *
bp_data_of_member(const struct bp_member_data *data, size_t i)
{
    return data->of ? &data->of[data->own ? i : 0] : NULL;
}

#endif
