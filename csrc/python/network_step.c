#include "core/train/step.h"

#include "core/base/memory.h"
#include "network_methods.h"
#include "optimizer_type.h"

struct given {
    struct bp_given_samples samples;
    PyObject *optimizer;
};

#define GIVEN(field) offsetof(struct given, field)

static const struct bp_argument step_arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(samples.x), true, 0},
    {"y", BP_ARG_OPTIONAL, GIVEN(samples.y), false, 0},
    {"optimizer", BP_ARG_OBJECT, GIVEN(optimizer), true, 0},
    {"dC_da", BP_ARG_OPTIONAL, GIVEN(samples.dC_da), false, 0},
    {"sample_weight", BP_ARG_OPTIONAL, GIVEN(samples.sample_weight), false, 0},
    {"target_mask", BP_ARG_OPTIONAL, GIVEN(samples.target_mask), false, 0},
};
const struct bp_signature bp_step_signature = BP_SIGNATURE("Network.step()", step_arguments, 3);

/* Whether a step on so many rows may take longer than a user who presses Ctrl-C wants to wait. */
static bool
is_long(const struct bp_network *net, size_t rows)
{
    enum { LONG = 1 << 27 }; /* products of numbers: some hundredths of a second */
    return bp_size_product(net->parameters, rows) > LONG;
}

static bool
watch_stops(void *watch)
{
    return bp_watch_stops(watch);
}

/* bp_step, and the parameters of before where a handler interrupts it, as self->watch then says */
static enum bp_status
step_or_undo(Network *self, const struct bp_samples *samples, struct bp_optimizer *optimizer, bp_real *gradient,
             const struct bp_dropout *dropout, double *loss)
{
    const struct bp_network *net = &self->net;
    const size_t bytes = bp_room(net) * net->kernels->size;
    struct bp_halt halt = {.poll = {watch_stops, &self->watch}};
    bp_real *const before = bp_allocate(bytes, 1);

    if (!before)
        return BP_NO_MEMORY;
    memcpy(before, self->parameters.at, bytes);
    self->watch = (struct bp_watch){.poll = {bp_poll_signals, &self->gil}, .asked = bp_seconds_now()};
    *loss = bp_step(net, &self->ws, self->parameters.at, &samples->data, optimizer, gradient, dropout, &halt);
    if (self->watch.stopped)
        memcpy(self->parameters.at, before, bytes);
    bp_free(before);
    return BP_OK;
}

/* The step without the GIL, once all that it needs is there; *loss is C before it. */
static enum bp_status
step(Network *self, const struct bp_samples *samples, struct bp_optimizer *optimizer,
     const struct bp_dropout *dropout, double *loss)
{
    const struct bp_network *net = &self->net;
    const size_t rows = samples->data.x.rows;
    bp_real *gradient = NULL;

    bp_give_up_gil(&self->gil);
    self->watch = (struct bp_watch){0};
    enum bp_status status = bp_workspace_for(&self->ws, net, &samples->data, rows, 1, dropout ? BP_DROPOUT : 0U);
    if (status == BP_OK && !bp_is_plain(net, optimizer)) {
        gradient = bp_allocate(bp_room(net), net->kernels->size);
        status = gradient ? BP_OK : BP_NO_MEMORY;
    }
    if (status == BP_OK && is_long(net, rows))
        status = step_or_undo(self, samples, optimizer, gradient, dropout, loss);
    else if (status == BP_OK)
        *loss = bp_step(net, &self->ws, self->parameters.at, &samples->data, optimizer, gradient, dropout, NULL);
    bp_free(gradient);
    return bp_end(self, status);
}

/* The step of an optimizer on samples that are read, with random numbers if the network has dropout: but for
 * derivatives, which are those of outputs without it. 0, or -1 with an exception. */
static int
step_with(Network *self, const struct bp_samples *samples, PyObject *optimizer, double *loss)
{
    struct bp_held_optimizer held;
    struct bp_dropout dropout = {0};
    uint64_t *keys = NULL;
    enum bp_status status = BP_FAILED;

    if (bp_hold_optimizer(&held, self->module, optimizer, &self->net) < 0)
        return -1;
    if (self->net.dropout && !samples->data.derivatives) {
        keys = bp_draw_own_keys(self);
        if (!keys)
            goto done;
        dropout.keys = keys;
    }
    status = step(self, samples, &held.optimizer, keys ? &dropout : NULL, loss);
    if (status == BP_OK)
        bp_set_steps(optimizer, held.optimizer.steps);
    else
        bp_raise(status);
done:
    PyMem_Free(keys);
    bp_release_optimizer(&held);
    return status == BP_OK ? 0 : -1;
}

PyObject *
bp_network_step(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    struct given given = {0};
    struct bp_samples samples;
    PyObject *result = NULL;

    if (bp_read_arguments(&bp_step_signature, args, count, names, &given) < 0)
        return NULL;
    if (bp_enter_with_targets(self, &samples, &given.samples) == 0) {
        result = PyFloat_FromDouble(0); /* after the step there may be no memory for it */
        if (result && step_with(self, &samples, given.optimizer, &((PyFloatObject *)result)->ob_fval) < 0)
            Py_CLEAR(result);
        bp_leave_with_samples(self, &samples);
    }
    return result;
}
