/* train_hooks.h: what the core calls back while it trains, with the GIL taken for as long: signals,
 * streams and other ranks. Depends on network_type.h and core/train/train.h. */
#ifndef BP_TRAIN_HOOKS_H
#define BP_TRAIN_HOOKS_H

#include "network_type.h"

#include "core/train/train.h"

struct bp_hooks {
    PyThreadState *saved; /* while the GIL is released */
    const struct bp_network *net;
    /* the stream: next_block() -> (x, y, sample_weight or None) or None; rates(first, count) ->
     * float64 array, or None */
    PyObject *next_block, *rates;
    unsigned long reader; /* the thread that next_block waits for, or 0 */
    struct bp_samples block;
    PyObject *block_weights, *block_rates;
    /* the ranks: comm.Allreduce and MPI.IN_PLACE; a bool array that a signal handler sets */
    PyObject *allreduce, *in_place, *interrupted;
    /* where they have memory in common: comm.Barrier and win.Sync */
    PyObject *barrier, *sync;
    struct bp_stream stream;
    struct bp_ranks ranks;
    PyObject *shared; /* (array of bytes, barrier, sync) or None */
};

/* Reads what _train is given for them; None leaves training.stream or training.ranks NULL. 0, or -1 with an
 * exception. The objects are borrowed. */
int bp_hook_stream(struct bp_hooks *, struct bp_training *, PyObject *stream);
int bp_hook_ranks(struct bp_hooks *, struct bp_training *, PyObject *ranks);

/* The memory of hooks->shared, once training.optimizer is known. 0, or -1 with an exception. */
int bp_hook_shared(struct bp_hooks *, struct bp_training *);

/* Lets Python's signal handlers run; true when one of them raised, or set `interrupted`. */
bool bp_check_signals(void *hooks);

/* Where training never began: tells the other ranks so, with the GIL held. An exception stays set. */
void bp_hooks_refuse(struct bp_hooks *);

void bp_release_hooks(struct bp_hooks *);

/* A C-contiguous float64 array of `count` numbers, borrowed as double; NULL with an exception. */
double *bp_doubles(PyObject *object, const char *name, npy_intp count);

/* The weights of the samples: finite, none negative, not all zero unless `zeros`; NULL with an exception. */
double *bp_read_sample_weights(PyObject *object, size_t samples, bool zeros);

#endif
