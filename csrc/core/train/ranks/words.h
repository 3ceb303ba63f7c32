/* words.h: what the ranks exchange in every step besides gradients, as sums over them.
 *
 * A rank that cannot go on, or is asked to stop, still comes to the next exchange with that word,
 * so that all end after the same step and nobody waits for ever. Thread 0 only. Depends on run.h.
 */
#ifndef BP_RANKS_WORDS_H
#define BP_RANKS_WORDS_H

#include "core/train/run.h"

/* in the order of exchange.words */
enum bp_word {
    BP_STOPPED, /* ranks that are asked to stop */
    BP_LOST,    /* ranks that cannot go on: their numbers are of no use */
    BP_ROWS,
    BP_WEIGHT, /* of the rows */
};

/* Adds up doubles over all ranks; where that fails, verdict.status is not BP_OK. */
void
bp_reduce(struct run *, size_t count, double *numbers);

/* Before training: exchanges whether a rank can begin; what the training is to return at once, or
 * BP_OK. */
enum bp_status
bp_exchange_status(const struct bp_ranks *, enum bp_status);

/* This rank's words, of its `rows`. */
void
bp_write_words(struct run *, struct bp_rows rows, double words[BP_WORDS]);

/* The verdict from the sums in exchange.words; before a meeting. */
void
bp_apply_words(struct run *);

#endif
