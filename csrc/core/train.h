/* train.h: the epoch loop. Depends on evaluate.h. */
#ifndef BP_TRAIN_H
#define BP_TRAIN_H

#include "evaluate.h"

/* What one epoch left behind, in the order of a row of bp_training.record. */
enum bp_figure {
    BP_LOSS, /* mean of C_0 over the samples as they were trained on */
    BP_ACCURACY,
    BP_VALIDATION_LOSS, /* after the epoch; NaN without validation data */
    BP_VALIDATION_ACCURACY,
    BP_SECONDS,
    BP_GRADIENT_NORM, /* mean over the steps of |∂C/∂w| before clipping; NaN where not asked for */
    BP_FIGURES,
};

struct bp_training {
    const struct bp_network *net;
    bp_real *parameters; /* [bp_room], storage order */
    struct bp_optimizer *optimizer;
    struct bp_data data;
    const struct bp_data *validation; /* or NULL */
    size_t epochs, batch;
    size_t threads;
    const struct bp_random *random; /* needed for shuffling and for dropout */
    bool shuffle;                   /* else samples come in their own order */
    bool norms;                     /* measures BP_GRADIENT_NORM */
    const double *rates;            /* a learning rate for each step, or NULL for the optimizer's */
    double budget;                  /* seconds after which no further epoch is begun */
    /* Called on the caller's thread every few milliseconds between steps; true asks to stop. */
    bool (*poll)(void *context);
    void *poll_context;
    double *record; /* (epochs, BP_FIGURES) */
    /* results */
    size_t epochs_done;
    size_t bad_layer; /* for BP_DIVERGED: counted from 0 */
};

/* Trains epoch by epoch. Parameters and optimizer state are those after the last epoch of finite
 * numbers, also for BP_DIVERGED and BP_FAILED, or for BP_INTERRUPTED after the last step, if they are finite.
 * Nothing has changed for BP_NO_MEMORY, BP_TOO_LARGE and BP_NO_THREAD. */
enum bp_status bp_train(struct bp_training *);

#endif
