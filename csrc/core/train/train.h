/* train.h: the epoch loop. Depends on evaluate/, passes/ and below. */
#ifndef BP_TRAIN_H
#define BP_TRAIN_H

#include "core/evaluate/outputs.h"
#include "core/network/optimizer.h"

/* What one epoch left behind, in the order of a row of bp_training.record: an enumerator and its name. */
#define BP_EACH_FIGURE(FIGURE)                                                                     \
    FIGURE(BP_LOSS, "loss") /* mean of C_0 over the samples as they were trained on */             \
    FIGURE(BP_ACCURACY, "accuracy")                                                                \
    FIGURE(BP_VALIDATION_LOSS, "validation_loss") /* after the epoch; NaN without validation data */ \
    FIGURE(BP_VALIDATION_ACCURACY, "validation_accuracy")                                          \
    FIGURE(BP_SECONDS, "seconds")                                                                  \
    FIGURE(BP_GRADIENT_NORM, "gradient_norm") /* mean over the steps of |∂C/∂w| before clipping, or NaN */

#define BP_ENUMERATOR(enumerator, name) enumerator,
enum bp_figure { BP_EACH_FIGURE(BP_ENUMERATOR) BP_FIGURES };
#undef BP_ENUMERATOR

/* Samples that come block by block, so that they need not be in memory all at once. */
struct bp_stream {
    bool whole; /* every block is one batch; else blocks are cut into batches */
    /* The next block into *data, which stays until the next call, or no rows at the end of an epoch; false when it
     * failed. On the caller's thread. */
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
    bool sharded; /* the data are this rank's own; else all have the same, and each takes its share of a batch */
    size_t steps; /* in an epoch, of the rank with most; without meaning for a stream */
    /* 0: the gradient is added up in every step; else each steps alone, and the parameters and
     * what the optimizer remembers are averaged after so many steps and after the epoch */
    size_t average_every;
    /* numbers[i] = Σ over the ranks of numbers[i], the same bits on each; false when it failed. On
     * the caller's thread. */
    bool (*add)(void *context, enum bp_dtype, size_t count, void *numbers);
    size_t rows; /* that one rank has of a batch at most, the same on each; 0 where nobody knows */
    /* Memory that all ranks have in common, bp_room_to_share bytes at a cache line, or NULL. With it, gradients
     * need no message: each makes the step for its part of the parameters from what all write there. */
    void *shared;
    /* Returns when all ranks have called it, and then what they wrote to `shared` before is seen; false when it
     * failed. On the caller's thread. */
    bool (*meet)(void *context);
    void *context;
    bool told; /* set once bp_train has told the others how this rank fares */
};

struct bp_training {
    const struct bp_network *net;
    bp_real *parameters; /* [bp_room], storage order */
    struct bp_optimizer *optimizer;
    struct bp_data data;            /* of this block, with a stream */
    const struct bp_stream *stream; /* or NULL */
    struct bp_ranks *ranks;         /* or NULL */
    const struct bp_data *validation; /* or NULL */
    size_t epochs, batch;
    size_t threads;
    const struct bp_random *random; /* needed for shuffling and for dropout */
    bool shuffle;                   /* else samples come in their own order */
    bool norms;                     /* measures BP_GRADIENT_NORM */
    const double *rates; /* without a stream: a learning rate for each step, or NULL for the optimizer's */
    double budget;                  /* seconds after which no further epoch is begun */
    /* Called on the caller's thread every few milliseconds between steps; true asks to stop. */
    bool (*poll)(void *context);
    void *poll_context;
    double *record; /* (epochs, BP_FIGURES) */
    /* results */
    size_t epochs_done;
    size_t bad_layer; /* for BP_DIVERGED: counted from 0 */
};

/* The bytes that ranks, `count` and `rows` of them, need in common memory for this network and optimizer; 0 where
 * they must not share: where a step needs all of the gradient first. */
size_t bp_room_to_share(const struct bp_network *, const struct bp_optimizer *,
                        const struct bp_ranks *);

/* Trains epoch by epoch. Parameters and optimizer state are those after the last epoch of finite
 * numbers, also for BP_DIVERGED and BP_FAILED, or for BP_INTERRUPTED after the last step, if they are finite.
 * Nothing has changed for BP_NO_MEMORY, BP_TOO_LARGE and BP_NO_THREAD, but by blocks that are larger than all before
 * them. With ranks, all end after the same step: BP_ELSEWHERE where another one did not go on. */
enum bp_status bp_train(struct bp_training *);

#endif
