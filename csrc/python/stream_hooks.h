/* stream_hooks.h: samples and learning rates that Python gives while the core trains.
 * Depends on arguments.h, samples.h, gil.h and core/train/train.h. */
#ifndef BP_STREAM_HOOKS_H
#define BP_STREAM_HOOKS_H

#include "arguments.h"
#include "samples.h"
#include "gil.h"

#include "core/train/train.h"

extern const struct bp_signature bp_stream_signature;

struct bp_stream_hooks {
    struct bp_gil *gil;
    const struct bp_network *net;
    struct {
        PyObject *next_block; /* () -> (x, y, sample_weight or None), or None after the last */
        PyObject *rates;      /* (first, count) -> float64 array of `count` numbers; or NULL */
        bool whole;           /* each block is one batch */
        unsigned long thread; /* that next_block waits for, or 0 */
    } given;
    PyObject *kept; /* holds these */
    struct bp_samples block;
    PyObject *block_rates;
    struct bp_stream stream;
};

/* Reads what _train is given as stream, a dict, and sets training->stream. 0, or -1 with an exception. */
int bp_hook_stream(struct bp_stream_hooks *, struct bp_gil *, const struct bp_network *,
                   PyObject *stream, struct bp_training *);

void bp_release_stream(struct bp_stream_hooks *); /* nothing for one of zeros */

#endif
