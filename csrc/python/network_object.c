#include "network_object.h"

#include "core/network/functions.h"
#include "core/passes/alone.h"

/* Bytes that a workspace may keep between two calls. */
enum { BYTES_KEPT = 1 << 20 };

static bool
is_thread(const atomic_ulong *noted, unsigned long me)
{
    return atomic_load_explicit(noted, memory_order_relaxed) == me;
}

int
bp_enter(Network *self)
{
    if (self->net.count == 0) {
        PyErr_SetString(PyExc_RuntimeError, "Network.__init__ has not been called");
        return -1;
    }
    const unsigned long me = PyThread_get_thread_ident();
    if (is_thread(&self->owner, me) ||
        (self->customs && bp_is_called_by(self->customs))) {
        if (self->lent) {
            self->lent = false;
            self->entered++;
            return 0;
        }
        PyErr_SetString(PyExc_RuntimeError,
                        "this thread is computing with the network already: a signal handler can't use it, "
                        "nor can one of its own functions");
        return -1;
    }
    if (is_thread(&self->reader, me)) { /* each would wait for the other */
        PyErr_SetString(PyExc_RuntimeError, "an iterable that a network trains on can't use the network: "
                                            "training waits for the batch. Use a copy of it");
        return -1;
    }
    PyLockStatus status = PyThread_acquire_lock_timed(self->lock, 0, 0);
    while (status != PY_LOCK_ACQUIRED) { /* another thread has it: wait, but not for Ctrl-C */
        if (self->forks != bp_forks()) {
            PyErr_SetString(PyExc_RuntimeError,
                            "another thread computed with the network when this process was forked from "
                            "its parent, and is not there to finish: make a new network from its parameters");
            return -1;
        }
        if (status == PY_LOCK_INTR && PyErr_CheckSignals() < 0)
            return -1;
        Py_BEGIN_ALLOW_THREADS
        status = PyThread_acquire_lock_timed(self->lock, -1, 1);
        Py_END_ALLOW_THREADS
    }
    bp_note_thread(&self->owner, me);
    self->forks = bp_forks();
    self->entered = 1;
    if (self->customs)
        atomic_store(&self->customs->failed, false);
    return 0;
}

void
bp_leave(Network *self)
{
    if (bp_workspace_bytes(&self->ws) > BYTES_KEPT)
        bp_workspace_free(&self->ws);
    bp_note_thread(&self->reader, 0);
    if (--self->entered > 0) {
        self->lent = true;
        return;
    }
    bp_note_thread(&self->owner, 0);
    PyThread_release_lock(self->lock);
}

PyObject *
bp_network_locked(PyObject *object, PyObject *function)
{
    Network *self = (Network *)object;

    if (bp_enter(self) < 0)
        return NULL;
    self->lent = true;
    PyObject *result = PyObject_CallNoArgs(function);
    self->lent = false;
    bp_leave(self);
    return result;
}

/* Reads what is given beside x and y, and checks the targets. */
static int
read_beside(const struct bp_network *net, struct bp_samples *samples,
            const struct bp_given_samples *given)
{
    if (given->dC_da && given->target_mask) {
        PyErr_SetString(PyExc_ValueError, "target_mask is for y; an entry of dC_da that is not there is 0");
        return -1;
    }
    if (given->dC_da && bp_read_derivatives(samples, net, given->dC_da, "dC_da") < 0)
        return -1;
    if (given->sample_weight &&
        bp_read_weights(samples, given->sample_weight, "sample_weight", false) < 0)
        return -1;
    if (given->target_mask && bp_read_mask(samples, net, given->target_mask) < 0)
        return -1;
    return given->y ? bp_check_targets(samples, net, "y") : 0;
}

int
bp_enter_with_samples(Network *self, struct bp_samples *samples,
                      const struct bp_given_samples *given)
{
    if (bp_enter(self) < 0)
        return -1;
    if (bp_read_samples(samples, &self->net, given->x, given->y, "x", "y") == 0) {
        if (read_beside(&self->net, samples, given) == 0)
            return 0;
        bp_release_samples(samples);
    }
    bp_leave(self);
    return -1;
}

int
bp_enter_with_targets(Network *self, struct bp_samples *samples,
                      const struct bp_given_samples *given)
{
    if (!given->y == !given->dC_da) {
        PyErr_SetString(PyExc_TypeError,
                        given->y ? "y and dC_da are both given, but dC_da is there in the place of y"
                                 : "y must be of float16, float32, float64, an integer type or bool, or "
                                   "dC_da be given in its place, but y is None, of dtype object");
        return -1;
    }
    return bp_enter_with_samples(self, samples, given);
}

void
bp_leave_with_samples(Network *self, struct bp_samples *samples)
{
    bp_release_samples(samples);
    bp_leave(self);
}

enum bp_status
bp_begin(Network *self, const struct bp_samples *samples, unsigned flags)
{
    const size_t rows = bp_rows_together(&self->net, samples->data.x.rows);

    bp_give_up_gil(&self->gil);
    self->watch = (struct bp_watch){0};
    const enum bp_status status =
        bp_workspace_for(&self->ws, &self->net, &samples->data, rows, 1, flags);
    if (status == BP_OK && rows < samples->data.x.rows) {
        self->watch = (struct bp_watch){.poll = {bp_poll_signals, &self->gil}, .asked = bp_seconds_now()};
        self->ws.scratch.watch = &self->watch;
    }
    return status;
}

Py_ssize_t
bp_threads_for(Network *self, const struct bp_samples *samples, double operations)
{
    enum { FEW_ROWS = 256 };
    const double least = 3e7; /* operations: about a third of a millisecond */
    const size_t rows = samples->data.x.rows;

    if (rows < FEW_ROWS || self->net.custom || !bp_may_divide(&samples->data))
        return 0;
    if (operations * (double)rows < least)
        return bp_gradient_in_lanes(&self->net, &samples->data);
    PyObject *usable = PyObject_CallMethod((PyObject *)self, "_usable_threads", NULL);
    const Py_ssize_t threads = usable ? PyLong_AsSsize_t(usable) : -1;
    Py_XDECREF(usable);
    if (threads < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "_usable_threads() must be at least 1");
    return threads < 0 ? -1 : threads;
}

struct bp_many
bp_begin_many(Network *self, const struct bp_samples *samples, Py_ssize_t threads)
{
    self->watch = (struct bp_watch){0};
    bp_give_up_gil(&self->gil);
    return (struct bp_many){
        .net = &self->net,
        .parameters = self->parameters.at,
        .data = &samples->data,
        .threads = (size_t)threads,
        .poll = {bp_poll_signals, &self->gil},
    };
}

enum bp_status
bp_end(Network *self, enum bp_status status)
{
    bp_take_gil(&self->gil);
    self->ws.scratch.watch = NULL;
    if (status == BP_OK && bp_failed(&self->net))
        return BP_FAILED;
    return status == BP_OK && self->watch.stopped ? BP_INTERRUPTED : status;
}

enum bp_status
bp_evaluate_samples(Network *self, const struct bp_samples *samples, bool targets, unsigned flags,
                    const struct bp_dropout *dropout, struct bp_results *results)
{
    const struct bp_network *net = &self->net;
    const Py_ssize_t threads =
        dropout ? 0 : bp_threads_for(self, samples, 2 * (double)net->parameters);
    enum bp_status status;

    if (threads < 0)
        return BP_FAILED;
    if (threads > 0) {
        const struct bp_many many = bp_begin_many(self, samples, threads);
        status = bp_evaluate_many(&many, targets, results);
    }
    else {
        status = bp_begin(self, samples, flags);
        struct bp_pass pass = bp_pass_alone(net, &self->ws, self->parameters.at, &samples->data);
        pass.dropout = dropout;
        if (status == BP_OK)
            bp_evaluate(&pass, &samples->data, targets, results);
    }
    return bp_end(self, status);
}

PyArrayObject *
bp_new_results(const struct bp_samples *samples, int dimensions, const npy_intp *shape,
               int type_number)
{
    npy_intp whole[3] = {(npy_intp)samples->data.x.rows};
    int count = samples->single ? 0 : 1;

    for (int i = 0; i < dimensions; i++)
        whole[count++] = shape[i];
    return (PyArrayObject *)PyArray_SimpleNew(count, whole, type_number);
}
