/* network_object.h: the Python object around a bp_network, and its lock: all that its methods share.
 * Depends on samples.h, custom.h, numbers.h and core/. */
#ifndef BP_NETWORK_OBJECT_H
#define BP_NETWORK_OBJECT_H

#include "samples.h"
#include "custom.h"
#include "gil.h"
#include "numbers.h"

#include "core/evaluate/many.h"
#include "core/network/grouping.h"
#include "core/passes/workspace.h"

typedef struct bp_network_object {
    PyObject_HEAD
    struct bp_module *module;
    struct bp_network net;  /* net.count is 0 before _setup; layers and their masks are this object's */
    struct bp_workspace ws; /* kept between calls while it is small */
    struct bp_customs *customs;   /* the user's functions, or NULL without any */
    struct bp_numbers parameters; /* in storage order */
    PyThread_type_lock lock; /* held while the core works on the network, the GIL being released */
    atomic_ulong owner;      /* the thread that holds the lock, or 0 */
    atomic_ulong reader;     /* the thread that it waits for while it trains on a stream, or 0 */
    size_t threads_that_paid; /* in the last training that was to find out; 0: there was none */
    unsigned forks;          /* bp_forks() when the lock was taken last */
    int entered;             /* how often the owner has: more than once inside _locked only */
    struct bp_gil gil;       /* of the owner, while it computes */
    struct bp_watch watch;   /* for Ctrl-C, where there are many samples */
    bool lent;               /* the owner is in Python code that _locked runs, and may enter again */
} Network;

/* Notes a thread as an object's owner or reader, or 0 for none. In no order with other memory: a thread only asks
 * whether it is the one itself, and an owner notes itself, a reader is noted while the GIL is held. */
static inline void
bp_note_thread(atomic_ulong *noted, unsigned long thread)
{
    atomic_store_explicit(noted, thread, memory_order_relaxed);
}

/* Waits until no other thread computes with the network. 0, or -1 with an exception: not set up, a
 * signal handler raised, this thread itself is in the middle of a computation, or feeds one, or the
 * thread that has the lock was left behind by a fork. */
int bp_enter(Network *);
void bp_leave(Network *);

/* _locked(function): what function() returns, while no other thread computes with the network. The function may use
 * the network: all that it reads is then of one moment. */
PyObject *bp_network_locked(PyObject *network, PyObject *function);

/* What a method is given of samples; NULL for what it is not. */
struct bp_given_samples {
    PyObject *x, *y, *dC_da, *sample_weight, *target_mask;
};

/* bp_enter, and reads the samples; 0, or -1 with nothing held. */
int bp_enter_with_samples(Network *, struct bp_samples *, const struct bp_given_samples *);

/* The same where targets are needed, or dC_da in their place. */
int bp_enter_with_targets(Network *, struct bp_samples *, const struct bp_given_samples *);
void bp_leave_with_samples(Network *, struct bp_samples *);

/* Gives the GIL up, and makes the network's workspace ready for rows of these samples, as many as are done at a time,
 * and for their mask. What is computed then lets signal handlers run now and then. */
enum bp_status bp_begin(Network *, const struct bp_samples *, unsigned flags);

/* Takes the GIL back; the status of what was computed, which a handler may have interrupted, or a function failed. */
enum bp_status bp_end(Network *, enum bp_status);

/* How many threads may do about `operations` multiplications and additions for each sample, as the object's
 * _usable_threads() says where they are many; 0 where they go the ordinary way, on the caller's thread; -1 with an
 * exception. */
Py_ssize_t bp_threads_for(Network *, const struct bp_samples *, double operations);

/* Gives the GIL up, for many samples on so many threads; then bp_end. */
struct bp_many bp_begin_many(Network *, const struct bp_samples *, Py_ssize_t threads);

/* Outputs, classes and losses of the samples, on as many threads as pay, on one with dropout; the status, or an
 * exception. flags: of the workspace. */
enum bp_status bp_evaluate_samples(Network *, const struct bp_samples *, bool targets, unsigned flags,
                                   const struct bp_dropout *, struct bp_results *);

/* A new array for results of n samples: (n, ...), or (...) for a single one. `shape` is that of
 * one sample's. */
PyArrayObject *bp_new_results(const struct bp_samples *, int dimensions, const npy_intp *shape,
                              int type_number);

#endif
