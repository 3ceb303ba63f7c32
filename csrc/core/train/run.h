/* run.h: what the threads of one training share, and what each has of its own.
 * Depends on training.h, pace.h and passes/.
 *
 * What one thread writes and others read lies still between two meetings of the team: thread 0
 * writes before a meeting, all read after it, and they meet again before it changes (stop.h:
 * bp_decided). */
#ifndef BP_RUN_H
#define BP_RUN_H

#include "core/evaluate/outputs.h"
#include "core/passes/pass.h"
#include "pace.h"
#include "training.h"

/* What was asked for as it is done: bp_run_open writes it, and nobody afterwards. */
struct applied {
    size_t batch, threads;
    size_t together; /* rows that a method is given at a time, but for whole blocks of a stream */
    bool one_call; /* of the method, on one thread, is all of an epoch */
    bool in_place; /* on the vectors that users see, which are not packed */
    const struct method *method;
    bool settles; /* its step settles the order of samples: bp_settle_order() */
    bool halts;   /* steps may last so long that they are given up on their way */
    uint64_t first_step; /* steps that the optimizer had done before this call */
};

/* What is trained, packed but where it is trained in place: each thread writes its share. In memory in
 * common the ranks have the same. */
struct vectors {
    bp_real *parameters;
    bp_real *state[BP_STATES]; /* the optimizer's, or NULL */
    bp_real *gradient;         /* where a step needs all of it at once, or NULL */
    bp_real *kept; /* in place: the parameters to go back to where an epoch fails; else NULL */
    bool held;     /* they are there; thread 0's alone */
    bool moved;    /* in place: since they were kept; thread 0's alone */
    struct {       /* of the smallest networks: what stays, before users see it */
        bp_real *numbers; /* parameters, then states, packed; NULL where users see them at once */
        bp_real *next;    /* what the method puts there after the last step of a block, or before it ends */
        bool finite;      /* these parameters are */
        size_t steps;     /* since users saw them last */
        bool waits;       /* users have not seen them */
    } good;
};

/* Where samples come from: thread 0 writes it between blocks, while the others wait. */
struct feed {
    struct bp_data data; /* of this block, or all */
    bool more;           /* there is another block */
    uint64_t place;      /* samples of this epoch before this block */
    uint32_t *order;     /* of the samples in this block, or NULL */
    atomic_size_t unsettled; /* places of `order`, the first ones, that may still change: thread 0 counts down */
    size_t room;         /* samples that `order` has room for */
    const double *rates; /* of the steps from rates_from on, or NULL for the optimizer's */
    size_t rates_from;
};

/* Thread 0's alone: when the caller is asked whether to stop. */
struct clock {
    double begun, polled;        /* seconds: this call, and the last poll */
    double epoch_begun;          /* when the last one that was timed ended */
    size_t untimed, together;    /* epochs since, and how many are timed at once: clocks take long, beside a
                                    small epoch */
    size_t look_every, looks_in; /* steps between two looks at the clock, and until the next one */
};

struct worker;

/* stretches.c says who writes this when. */
struct stretches {
    struct bp_team *team; /* or NULL: there is one thread only */
    struct bp_pace pace;
    double begun;  /* seconds; moved on by what happens between epochs */
    double waited; /* seconds, by threads for others before this stretch; moved on likewise */
    double epoch_ended, waited_then;
    size_t batches, threads;       /* of the next stretch */
    struct worker *position;       /* where threads that join begin: thread 0's */
};

/* How it stands. Thread 0 writes it before a meeting, but for not_finite, which any thread sets. */
struct verdict {
    enum bp_status status;
    bool stop;              /* the caller asked, or another rank's */
    bool enough;            /* the budget is used up */
    bool keep;              /* the parameters of this epoch become the ones that stay */
    atomic_bool not_finite; /* some parameter is, as some thread found */
};

enum { BP_WORDS = 4 }; /* ranks/words.h */

/* With other ranks: thread 0 writes it before a meeting. */
struct exchange {
    double words[BP_WORDS];     /* of all ranks, in this step */
    bool average;               /* their parameters become the same */
    size_t ahead;               /* steps that another rank made more */
    double *steps;              /* of each rank since the last average, or NULL */
    struct bp_workspace of_all; /* common_memory.c: x, a and delta of all ranks, or no rows */
    struct bp_nodes *nodes;     /* of_all's */
};

struct run {
    const struct bp_training *asked;
    struct bp_trained *trained; /* thread 0 writes it */
    struct applied applied;
    struct bp_workspace ws;       /* of a batch */
    struct bp_workspace held_out; /* for validation */
    void *own;                    /* the method's */
    uint64_t *keys; /* of this epoch's dropout, or NULL: thread 0 draws them before a meeting */
    size_t steps;   /* since the last commit: thread 0's alone */
    struct vectors vectors;
    struct feed feed;
    struct clock clock;
    struct stretches stretches;
    struct verdict verdict;
    struct bp_halt halt; /* of a step, which then has moved nothing that stays */
    struct exchange exchange;
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
    struct bp_dropout dropout; /* of this batch; pass.dropout is this one, or NULL */
    size_t step;
    struct sums sums;
    const struct bp_workspace *pending; /* of the sample whose step the method put off, or NULL */
    size_t epoch;
    struct bp_rows rows; /* the next batch, where it joins in the middle of a block */
    bool joins;          /* it does */
    size_t left;         /* batches until threads are planned again */
};

/* Whether all vectors lie in memory of several ranks. */
static inline bool
bp_is_shared(const struct bp_training *t)
{
    return t->ranks && t->ranks->shared;
}

#endif
