/* rank_hooks.h: what the core asks of other processes while it trains, by mpi4py's functions.
 * Depends on arguments.h, gil.h and core/train/train.h. */
#ifndef BP_RANK_HOOKS_H
#define BP_RANK_HOOKS_H

#include "arguments.h"
#include "gil.h"

#include "core/train/train.h"

extern const struct bp_signature bp_ranks_signature, bp_common_memory_signature;

struct bp_rank_hooks {
    struct bp_gil *gil;
    struct {
        PyObject *allreduce, *in_place; /* comm.Allreduce and MPI.IN_PLACE */
        PyObject *interrupted;          /* (1,) of bool, which a signal handler sets */
        PyObject *common_memory;        /* a dict, or NULL */
    } given;
    struct {
        PyObject *memory;         /* of bytes, an array */
        PyObject *barrier, *sync; /* comm.Barrier and win.Sync */
    } common;
    PyObject *kept, *kept_common; /* hold these */
    struct bp_ranks ranks;
    bool status_exchanged; /* bp_trained's */
};

/* Reads what _train is given as ranks, a dict, and sets training->ranks. 0, or -1 with an exception. */
int bp_hook_ranks(struct bp_rank_hooks *, struct bp_gil *, PyObject *ranks, struct bp_training *);

/* Reads the memory that the ranks have in common, if they have any, once training->optimizer is known. 0, or -1
 * with an exception. */
int bp_hook_common_memory(struct bp_rank_hooks *, struct bp_training *);

/* Whether a signal handler has asked to stop, with the GIL held. */
bool bp_ranks_interrupted(const struct bp_rank_hooks *);

/* Where training never began: sends the other ranks, which wait for this one, word of it, with the GIL held. An
 * exception stays set. */
void bp_report_no_start(struct bp_rank_hooks *);

void bp_release_ranks(struct bp_rank_hooks *); /* nothing for one of zeros */

#endif
