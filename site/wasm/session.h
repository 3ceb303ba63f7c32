/* session.h: one network with its samples and its optimizer, as JavaScript asks for them. Depends on core/.
 *
 * JavaScript writes and reads this module's memory: numbers of a network are in its precision, samples are doubles, and
 * labels 32-bit integers. Every function that may lack memory returns a status, enum bp_status, or NULL.
 */
#ifndef BP_SESSION_H
#define BP_SESSION_H

#include "core/network/optimizer.h"
#include "core/data/arrays.h"
#include "core/passes/workspace.h"

#define BP_EXPORT(name) __attribute__((export_name(#name)))

/* NumPy's PCG64: a 128-bit linear congruential generator, its output by XSL-RR; the upper half of 64 bits waits for the
 * next call. */
struct bp_pcg {
    unsigned __int128 state, increment;
    uint32_t waiting;
    bool waits;
};

enum { BP_TRAIN_SET, BP_TEST_SET, BP_SETS };

struct bp_session {
    struct bp_network net;
    bp_real *parameters; /* [bp_room] */
    bp_real *gradient;   /* [bp_room] */
    struct bp_workspace ws;
    struct bp_optimizer optimizer;
    struct bp_data data[BP_SETS]; /* of no rows until it is given */
    struct bp_pcg generator;
    struct bp_trace *trace; /* one per layer, of one sample */
    bp_real *traced;        /* the numbers of all of them, as trace.h names them, layer by layer */
    double figures[2];      /* what bp_measure found: C and the share of samples that are right */
};

/* 32 fresh bits. */
uint32_t bp_pcg_next(void *generator);

#endif
