/* run.h: what the threads of one training share. For train.c, which leads it, and for blocks.c and
 * ranks.c, which feed it from a stream and join it with other processes.
 * Depends on train.h, chain.h and pace.h. */
#ifndef BP_RUN_H
#define BP_RUN_H

#include "chain.h"
#include "pace.h"
#include "train.h"

/* How the steps are done; the bits are the same. */
enum way {
    BATCHES, /* passes/: any batch, any optimizer and any network */
    ONLINE,  /* online.h: a sample a step, plain descent */
    CHAIN,   /* chain.h: the same for the smallest networks */
};

/* What a team does between two meetings at which it plans. While thread 0 is alone it may be a
 * window ahead of the others, never two. */
struct plan {
    size_t batches;
    bool alone; /* thread 0 does them, the others skip them */
    bool ended; /* training ended before the window began */
};

/* what all threads of a training share */
struct run {
    struct bp_training *t;
    enum way way;
    struct bp_workspace ws[2];        /* the second for ONLINE */
    struct bp_workspace held_out;     /* for validation */
    struct bp_chain chain;
    void *chain_memory;
    bp_real *chain_before; /* packed parameters before the rows that were loaded together */
    bp_real *packed;       /* the parameters while they are trained */
    bp_real *packed_state[BP_STATES]; /* the optimizer's, or NULL */
    bp_real *gradient;     /* packed, where a step needs all of it at once, or NULL */
    struct bp_workspace everyone; /* shared.c: x, a and delta of all ranks, or no rows */
    struct bp_nodes *nodes_of_everyone;
    uint64_t *keys;        /* of this epoch's dropout, or NULL */
    uint64_t first_step;   /* steps that the optimizer had done before this call */
    const double *rates;   /* of the steps from rates_from on, or NULL for the optimizer's */
    size_t rates_from;
    double *steps_of_ranks; /* ranks.c: since they last told, where they step alone, or NULL */
    uint32_t *order;       /* of the samples in this block, or NULL */
    size_t order_room;     /* samples it has room for */
    uint64_t place;        /* samples of this epoch before this block */
    double begun;          /* seconds, of this call */
    double polled;         /* when poll was last called */
    size_t look_every;     /* steps between two looks at the clock */
    size_t looks_in;       /* steps until the next one */
    size_t steps;          /* since the last commit */
    struct bp_pace pace;   /* of a team */
    double window_begun;   /* seconds; moved on by what happens between epochs */
    double waited;         /* seconds, by threads for others before this window; moved on likewise */
    double epoch_ended, waited_then;
    struct plan plans[2];  /* of this window of batches, and of the next */
    /* written by thread 0 before a meeting, read by all after it */
    double together[4];    /* ranks.c: what the ranks told each other in this step */
    size_t ahead;          /* ranks.c: steps that another rank made more */
    bool fed;              /* there is another block */
    bool keep;             /* the parameters of this epoch become the ones that stay */
    atomic_bool not_finite; /* some parameter is, as some thread found */
    bool stop;
    bool enough;
    enum bp_status status;
};

/* sums over the samples of an epoch; each thread has the same ones */
struct sums {
    double loss, weight, norm;
    size_t right, steps, samples;
};

/* one thread of a training */
struct worker {
    struct run *run;
    struct bp_pass pass;
    size_t step;
    struct sums sums;
    const struct bp_workspace *pending; /* of the sample whose step is put off, ONLINE only */
    size_t window, left; /* of a team: windows so far, and batches until it plans again */
    bool alone;
};

/* the learning rate of a step of this call */
static inline double
bp_rate_of(const struct run *run, size_t step)
{
    return run->rates ? run->rates[step - run->rates_from] : run->t->optimizer->rate;
}

/* the weight of row n of `rows` */
static inline double
bp_weight_of(const struct bp_data *data, struct bp_rows rows, size_t n)
{
    const size_t at = rows.first + n;
    return data->weights ? data->weights[rows.order ? rows.order[at] : at] : 1;
}

/* train.c */

/* Copies a share of the parameters and of the state to where training runs on them, whose pads are zeros. */
void bp_pack_share(const struct run *, size_t me, size_t shares);

/* Asks the caller, if it is time to, whether to stop; looks at the clock only now and then. Thread
 * 0 only. */
bool bp_asked_to_stop(struct run *);

/* Adds up what the batch in ws left; false where its loss is not finite, which ends training. */
bool bp_add_up(struct worker *, const struct bp_workspace *ws, struct bp_rows);

/* factors[n] = sign times the share of row n of `rows`, which are of `batch`, in the mean over that. */
void bp_share_weight(const struct bp_data *, struct bp_rows rows, struct bp_rows batch, double sign,
                     double *factors);

/* Readies the pass for a batch: workspace, rows, mask and, until it returns, dropout. */
void bp_begin_batch(struct worker *, struct bp_rows, struct bp_dropout *);

/* One batch, forward, backward and update; false when training ends here. */
bool bp_train_batch(struct worker *, struct bp_rows, struct bp_rows next);

/* the rows that are loaded together, from sample number `first` of this block: none at its end */
struct bp_rows bp_batch_at(const struct run *, size_t first);

/* blocks.c */

/* Every thread: makes the next block of samples ready, all of them where there is no stream; false
 * after the last one, or where run->status says why not. `first`: of the epoch. */
bool bp_next_block(struct worker *, bool first);

/* Thread 0: learning rates for `count` steps from this one on; false where run->status says why. */
bool bp_ready_rates(struct run *, size_t step, size_t count);

/* ranks.c: nothing but these knows that there are other processes */

/* Tells all ranks how this one fares before training; what the training is to return at once, or
 * BP_OK. */
enum bp_status bp_ranks_ready(struct bp_ranks *, enum bp_status);

/* An epoch, every thread; false when training ends here. */
bool bp_ranks_epoch(struct worker *);

/* Thread 0: adds up an epoch's figures over all ranks; false where training ends. `held_out`
 * counts the validation samples. */
bool bp_ranks_add_figures(struct run *, struct sums *, struct bp_results *validation,
                          double *held_out);

/* This rank's share of rows that every rank has. */
struct bp_rows bp_rank_share(const struct bp_ranks *, struct bp_rows);

/* shared.c, where t->ranks->shared is */

/* The rows to lay run->ws out for. */
size_t bp_shared_rows(const struct bp_training *);

/* Has what lies there point to it, run->ws included, which is laid out; false where memory is short. */
bool bp_shared_lay_out(struct run *);

/* Every thread: the parameters and state, which all ranks have alike, are there when it returns. */
void bp_shared_pack(const struct worker *);

#endif
