/* training.h: what a training is asked to do, which it only reads, and what comes of it.
 * Depends on network/, data/ and base/. */
#ifndef BP_TRAINING_H
#define BP_TRAINING_H

#include "core/base/poll.h"
#include "core/base/random.h"
#include "core/data/arrays.h"
#include "core/network/optimizer.h"
#include "kernels/mixed.h"

/* What one epoch left behind, in the order of a row of bp_training.record: an enumerator and its
 * name. */
#define BP_EACH_FIGURE(FIGURE)                                                                     \
    FIGURE(BP_LOSS, "loss") /* mean of C_0 over the samples as they were trained on */             \
    FIGURE(BP_ACCURACY, "accuracy")                                                                \
    FIGURE(BP_VALIDATION_LOSS,                                                                     \
           "validation_loss") /* after the epoch; NaN without validation data */                   \
    FIGURE(BP_VALIDATION_ACCURACY, "validation_accuracy")                                          \
    FIGURE(BP_SECONDS, "seconds")                                                                  \
    FIGURE(BP_GRADIENT_NORM,                                                                       \
           "gradient_norm") /* mean over the steps of |∂C/∂w| before clipping, or NaN */

#define BP_ENUMERATOR(enumerator, name) enumerator,
enum bp_figure { BP_EACH_FIGURE(BP_ENUMERATOR) BP_FIGURES };
#undef BP_ENUMERATOR

/* Samples that come block by block, so that they need not be in memory all at once. */
struct bp_stream {
    bool whole; /* every block is one batch; else blocks are cut into batches */
    /* The next block into *data, which stays until the next call, or no rows at the end of an
     * epoch; false when it failed. On the caller's thread. */
    bool (*next)(void *context, struct bp_data *data);
    /* `count` learning rates from step number `first` of this call on, or NULL when it failed. May
     * be NULL: the optimizer's. */
    const double *(*rates)(void *context, size_t first, size_t count);
    bool interrupted; /* set by these two where they failed because training is to stop: its steps stay */
    void *context;
};

/* Processes that train one network together, each calling bp_train with a part of the samples. */
struct bp_ranks {
    size_t me, count;
    bool sharded; /* the data are this rank's own; else all have the same, and each takes its share
                     of a batch */
    size_t steps; /* in an epoch, of the rank with most; without meaning for a stream */
    /* 0: the gradient is added up in every step; else each steps alone, and the parameters and
     * what the optimizer remembers are averaged after so many steps and after the epoch */
    size_t average_every;
    /* numbers[i] = Σ over the ranks of numbers[i], the same bits on each; false when it failed. On
     * the caller's thread. */
    bool (*reduce)(void *context, enum bp_dtype, size_t count, void *numbers);
    size_t
        rows; /* that one rank has of a batch at most, the same on each; 0 where it is not known */
    /* Memory that all ranks have in common, bp_room_to_share bytes at a cache line, or NULL. With
     * it, gradients need no message: each makes the step for its part of the parameters from what
     * all write there. */
    void *shared;
    /* Returns when all ranks have called it, and then what they wrote to `shared` before is seen;
     * false when it failed. On the caller's thread. */
    bool (*barrier)(void *context);
    void *context;
};

struct bp_settings {
    size_t epochs, batch;
    size_t threads;       /* at most */
    size_t first_threads; /* to begin with; all, with ranks */
    bool shuffle;  /* else samples come in their own order */
    bool norms;    /* measures BP_GRADIENT_NORM */
    bool losses;   /* keeps the loss of every step; not with ranks */
    const struct bp_mixed *mixed; /* products of rounded factors, for float32 networks; or NULL */
    double budget; /* seconds after which no further epoch is begun */
};

/* Rows that are trained on, in this order, with repetitions; `rows` NULL for all, in their own. */
struct bp_chosen {
    const uint32_t *rows;
    size_t count;
};

struct bp_training {
    const struct bp_network *net;
    bp_real *parameters; /* [bp_room], storage order */
    struct bp_optimizer *optimizer;
    struct bp_data data;              /* of no meaning with a stream */
    struct bp_chosen chosen;          /* of data; all with a stream or ranks */
    const struct bp_stream *stream;   /* or NULL */
    const struct bp_ranks *ranks;     /* or NULL */
    const struct bp_data *validation; /* or NULL */
    const struct bp_random *random;   /* needed for shuffling and for dropout */
    const double
        *rates; /* without a stream: a learning rate for each step, or NULL for the optimizer's */
    double *record; /* (epochs, BP_FIGURES) */
    struct bp_settings settings;
    struct bp_poll poll;
};

/* The samples of an epoch, where they come from no stream. */
static inline size_t
bp_samples_of(const struct bp_training *t)
{
    return t->chosen.rows ? t->chosen.count : t->data.x.rows;
}

/* The mean loss of each step, C as it was trained on: thread 0 writes it, and makes room between
 * blocks. To be freed with bp_free. */
struct bp_step_losses {
    double *numbers; /* NULL without settings.losses */
    size_t count, room;
};

/* What came of a training, besides parameters, the optimizer's state and the record. All zeros
 * before it. */
struct bp_trained {
    size_t epochs_done;
    size_t threads;        /* that paid at the end */
    size_t bad_layer;      /* for BP_DIVERGED: counted from 0 */
    struct bp_step_losses losses;
    bool status_exchanged; /* the other ranks have this one's status of before the first step */
};

/* The bytes that ranks, `count` and `rows` of them, need in common memory for this network and
 * optimizer; 0 where they must not share: where a step needs all of the gradient first. */
size_t
bp_room_to_share(const struct bp_network *, const struct bp_optimizer *, const struct bp_ranks *);

#endif
