#include "train_method.h"

#include "core/network/functions.h"
#include "core/base/crowding.h"
#include "core/base/memory.h"
#include "generator.h"
#include "network_object.h"
#include "optimizer_type.h"
#include "precision.h"
#include "rank_hooks.h"
#include "stream_hooks.h"

/* what _train is given */
struct given {
    struct {
        PyObject *x, *y, *sample_weight, *target_mask;
        PyObject *validation; /* (x, y), or (x, y, sample_weight) */
    } data;
    PyObject *optimizer, *rates, *bit_generator, *record, *losses, *stream, *ranks;
    size_t epochs, batch_size, threads, first_epoch;
    const char *precision;
    double budget;
    bool shuffle, norms, sparing;
};

#define GIVEN(field) offsetof(struct given, field)

static const struct bp_argument train_arguments[] = {
    {"x", BP_ARG_OPTIONAL, GIVEN(data.x), true, 0},
    {"y", BP_ARG_OPTIONAL, GIVEN(data.y), true, 0},
    {"optimizer", BP_ARG_OBJECT, GIVEN(optimizer), true, 0},
    {"epochs", BP_ARG_SIZE, GIVEN(epochs), true, 1},
    {"batch_size", BP_ARG_SIZE, GIVEN(batch_size), true, 1},
    {"record", BP_ARG_OBJECT, GIVEN(record), true, 0},
    {"bit_generator", BP_ARG_OPTIONAL, GIVEN(bit_generator), false, 0},
    {"threads", BP_ARG_SIZE, GIVEN(threads), false, 1},
    {"rates", BP_ARG_OPTIONAL, GIVEN(rates), false, 0},
    {"sample_weight", BP_ARG_OPTIONAL, GIVEN(data.sample_weight), false, 0},
    {"target_mask", BP_ARG_OPTIONAL, GIVEN(data.target_mask), false, 0},
    {"validation", BP_ARG_OPTIONAL, GIVEN(data.validation), false, 0},
    {"budget", BP_ARG_REAL, GIVEN(budget), false, 0},
    {"first_epoch", BP_ARG_SIZE, GIVEN(first_epoch), false, 0},
    {"shuffle", BP_ARG_FLAG, GIVEN(shuffle), false, 0},
    {"norms", BP_ARG_FLAG, GIVEN(norms), false, 0},
    {"sparing", BP_ARG_FLAG, GIVEN(sparing), false, 0},
    {"losses", BP_ARG_OPTIONAL, GIVEN(losses), false, 0},
    {"precision", BP_ARG_TEXT, GIVEN(precision), false, 0},
    {"stream", BP_ARG_OPTIONAL, GIVEN(stream), false, 0},
    {"ranks", BP_ARG_OPTIONAL, GIVEN(ranks), false, 0},
};
const struct bp_signature bp_train_signature = BP_SIGNATURE("Network._train()", train_arguments, 0);

/* one call of _train */
struct call {
    struct given given;
    struct bp_gil gil;
    struct bp_stream_hooks stream;
    struct bp_rank_hooks ranks;
    struct bp_samples samples, held_out;
    struct bp_held_optimizer optimizer;
    struct bp_held_generator generator;
    struct bp_training training;
    struct bp_trained trained;
};

/* Lets Python's signal handlers run; true when one of them raised, or asked the ranks to stop. */
static bool
poll(void *context)
{
    struct call *call = context;

    bp_take_gil(&call->gil);
    const bool raised = PyErr_Occurred() || PyErr_CheckSignals() < 0;
    const bool asked = bp_ranks_interrupted(&call->ranks);
    bp_give_up_gil(&call->gil);
    return raised || asked;
}

static int
read_data(struct call *call, Network *self)
{
    const struct given *given = &call->given;
    struct bp_training *t = &call->training;
    PyObject *const none = Py_None;

    if (!t->stream &&
        bp_read_samples(&call->samples, &self->net, given->data.x ? given->data.x : none,
                        given->data.y ? given->data.y : none, "x", "y") < 0)
        return -1;
    if (given->data.target_mask &&
        bp_read_mask(&call->samples, &self->net, given->data.target_mask) < 0)
        return -1;
    if (!t->stream && bp_check_targets(&call->samples, &self->net, "y") < 0)
        return -1;
    if (given->data.validation) {
        if (bp_read_validation(&call->held_out, &self->net, given->data.validation) < 0)
            return -1;
        t->validation = &call->held_out.data;
    }
    if (given->data.sample_weight &&
        bp_read_weights(&call->samples, given->data.sample_weight, "sample_weight",
                        t->ranks != NULL) < 0)
        return -1;
    t->data = call->samples.data;
    return bp_check_sample_count(&t->data, "x");
}

/* Where fewer threads may do: one where other programs want the cores, else what paid the last time. */
static size_t
threads_to_begin_with(const struct given *given, const Network *self)
{
    if (!given->sparing || given->threads == 1)
        return given->threads;
    return bp_is_crowded() ? 1 : self->threads_that_paid;
}

/* Everything but the data. */
static int
read_settings(struct call *call, Network *self)
{
    const struct given *given = &call->given;
    struct bp_training *t = &call->training;

    t->net = &self->net;
    t->parameters = self->parameters.at;
    t->settings = (struct bp_settings){
        .epochs = given->epochs,
        .batch = given->batch_size,
        .threads = self->customs && self->customs->python ? 1 : given->threads,
        .first_threads = threads_to_begin_with(given, self),
        .shuffle = given->shuffle,
        .norms = given->norms,
        .losses = given->losses != NULL,
        .budget = given->budget,
    };
    if (bp_read_precision(self->net.kernels, given->precision, &t->settings.mixed) < 0)
        return -1;
    t->record = bp_doubles(given->record, "record", bp_size_product(given->epochs, BP_FIGURES));
    if (!t->record)
        return -1;
    if (given->bit_generator)
        t->random = &call->generator.random; /* read when all else is */
    else if (given->shuffle || self->net.dropout) {
        PyErr_SetString(PyExc_ValueError, "shuffling and dropout need a bit generator");
        return -1;
    }
    if (given->rates) {
        const size_t rows = t->data.x.rows, batch = given->batch_size;
        const size_t batches = rows / batch + (rows % batch > 0);
        const size_t steps = t->ranks ? t->ranks->steps : batches;
        t->rates = bp_doubles(given->rates, "rates", bp_size_product(steps, given->epochs));
        if (!t->rates)
            return -1;
    }
    if (bp_hold_optimizer(&call->optimizer, self->module, given->optimizer, &self->net) < 0)
        return -1;
    t->optimizer = &call->optimizer.optimizer;
    const bool calls_python = t->stream || (self->customs && self->customs->python);
    if (t->random && bp_hold_generator(&call->generator, given->bit_generator,
                                       calls_python ? &call->gil : NULL) < 0)
        return -1;
    if (t->ranks && bp_hook_common_memory(&call->ranks, t) < 0)
        return -1;
    if (t->settings.mixed && t->ranks && t->ranks->shared) {
        PyErr_SetString(PyExc_ValueError, "ranks with memory in common need precision 'float32'");
        return -1;
    }
    return 0;
}

static PyObject *
raise_divergence(const struct bp_module *module, const struct bp_trained *t, size_t epochs)
{
    const size_t epoch = epochs + t->epochs_done + 1;
    const size_t place = t->bad_layer, layer = place + 2; /* 1: the input layer */
    PyObject *text = PyUnicode_FromFormat(
        "training diverged in epoch %zu: layer %zu, net.layers[%zu], is the first that is not finite; "
        "the network keeps the weights it had before that epoch. A lower learning rate may help",
        epoch, layer, place);
    PyObject *error = text ? PyObject_CallOneArg(module->divergence_error, text) : NULL;
    PyObject *epoch_number = PyLong_FromSize_t(epoch), *layer_number = PyLong_FromSize_t(layer);

    if (error && epoch_number && layer_number &&
        PyObject_SetAttrString(error, "epoch", epoch_number) == 0 &&
        PyObject_SetAttrString(error, "layer", layer_number) == 0)
        PyErr_SetObject(module->divergence_error, error);
    Py_XDECREF(text);
    Py_XDECREF(error);
    Py_XDECREF(epoch_number);
    Py_XDECREF(layer_number);
    return NULL;
}

/* Appends the losses of the steps to the list that is given, as an array; 0, or -1 with an exception. */
static int
give_losses(struct call *call)
{
    struct bp_step_losses *losses = &call->trained.losses;
    const npy_intp count = (npy_intp)losses->count;
    double *numbers = losses->numbers;

    if (!numbers)
        return 0;
    losses->numbers = NULL; /* the array takes them over, or frees them */
    PyObject *array = bp_array_on(numbers, 1, &count, NPY_DOUBLE);
    const int given = array ? PyList_Append(call->given.losses, array) : -1;
    Py_XDECREF(array);
    return given;
}

/* Trains, once all is read; what _train returns. */
static PyObject *
run(struct call *call, Network *self)
{
    enum bp_status status;

    bp_give_up_gil(&call->gil);
    status = bp_train(&call->training, &call->trained);
    bp_take_gil(&call->gil);

    call->ranks.status_exchanged = call->trained.status_exchanged;
    bp_set_steps(call->given.optimizer, call->optimizer.optimizer.steps);
    if (call->given.sparing)
        self->threads_that_paid = call->trained.threads;
    if (bp_failed(&self->net)) /* whatever came of the numbers that it left */
        return bp_raise(BP_FAILED);
    if (status == BP_OK && call->given.losses && give_losses(call) < 0)
        return NULL;
    if (status == BP_OK)
        return PyLong_FromSize_t(call->trained.epochs_done);
    if (status == BP_DIVERGED)
        return raise_divergence(self->module, &call->trained, call->given.first_epoch);
    if (status == BP_ELSEWHERE || (status == BP_INTERRUPTED && !PyErr_Occurred()))
        return PyLong_FromLong(-1);
    return bp_raise(status);
}

/* Where the arguments cannot be read: other ranks that wait for this one are sent word of it. */
static void
report_wrong_arguments(struct call *call)
{
    PyObject *type, *value, *traceback;

    if (!call->given.ranks)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    if (bp_hook_ranks(&call->ranks, &call->gil, call->given.ranks, &call->training) == 0)
        bp_report_no_start(&call->ranks);
    bp_release_ranks(&call->ranks);
    PyErr_Restore(type, value, traceback);
}

PyObject *
bp_network_train(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    PyObject *result = NULL;
    struct call call = {.given = {.threads = 1, .budget = Py_HUGE_VAL, .precision = "float32"}};
    struct bp_training *t = &call.training;

    t->poll = (struct bp_poll){poll, &call};
    if (bp_read_arguments(&bp_train_signature, args, count, names, &call.given) < 0) {
        report_wrong_arguments(&call);
        return NULL;
    }
    if (call.given.ranks && bp_hook_ranks(&call.ranks, &call.gil, call.given.ranks, t) < 0)
        goto done;
    if (bp_enter(self) < 0)
        goto done;
    if (!call.given.stream ||
        bp_hook_stream(&call.stream, &call.gil, &self->net, call.given.stream, t) == 0) {
        bp_note_thread(&self->reader, call.stream.given.thread);
        if (read_data(&call, self) == 0 && read_settings(&call, self) == 0)
            result = run(&call, self);
    }
    bp_release_generator(&call.generator);
    bp_leave(self);
done:
    bp_free(call.trained.losses.numbers);
    bp_report_no_start(&call.ranks);
    bp_release_ranks(&call.ranks);
    bp_release_stream(&call.stream);
    bp_release_optimizer(&call.optimizer);
    bp_release_samples(&call.samples);
    bp_release_samples(&call.held_out);
    return result;
}

struct given_room {
    PyObject *optimizer;
    struct bp_ranks ranks;
};

static const struct bp_argument room_arguments[] = {
    {"optimizer", BP_ARG_OBJECT, offsetof(struct given_room, optimizer), true, 0},
    {"ranks", BP_ARG_SIZE, offsetof(struct given_room, ranks.count), true, 1},
    {"rows", BP_ARG_SIZE, offsetof(struct given_room, ranks.rows), true, 0},
};
const struct bp_signature bp_room_to_share_signature =
    BP_SIGNATURE("Network._room_to_share()", room_arguments, 1);

PyObject *
bp_network_room_to_share(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    struct given_room given = {0};

    if (bp_read_arguments(&bp_room_to_share_signature, args, count, names, &given) < 0 ||
        bp_enter(self) < 0)
        return NULL;
    const struct bp_optimizer *optimizer = bp_optimizer_settings(self->module, given.optimizer);
    const size_t room = optimizer ? bp_room_to_share(&self->net, optimizer, &given.ranks) : 0;
    bp_leave(self);
    return optimizer ? PyLong_FromSize_t(room) : NULL;
}
