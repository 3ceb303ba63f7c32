/* train_method.c: Network._train, which runs whole epochs in the core without the GIL. */
#include "core/network/functions.h"
#include "generator.h"
#include "optimizer_type.h"
#include "train_hooks.h"

static PyObject *
raise_divergence(const struct bp_module *module, const struct bp_training *t, Py_ssize_t epochs)
{
    const Py_ssize_t epoch = epochs + (Py_ssize_t)t->epochs_done + 1;
    const Py_ssize_t place = (Py_ssize_t)t->bad_layer, layer = place + 2; /* 1: the input layer */
    PyObject *text = PyUnicode_FromFormat(
        "training diverged in epoch %zd: layer %zd, net.layers[%zd], is the first that is not finite; "
        "the network keeps the weights it had before that epoch. A lower learning rate may help",
        epoch, layer, place);
    PyObject *error = text ? PyObject_CallOneArg(module->divergence_error, text) : NULL;
    PyObject *epoch_number = PyLong_FromSsize_t(epoch), *layer_number = PyLong_FromSsize_t(layer);

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

/* _room_to_share(optimizer, ranks, rows) -> bytes, 0 where ranks must not share memory. rows: that a rank has of a
 * batch at most, 0 where nobody knows */
PyObject *
bp_network_room_to_share(PyObject *object, PyObject *args)
{
    Network *self = (Network *)object;
    const struct bp_optimizer *optimizer;
    PyObject *optimizer_object;
    Py_ssize_t ranks, rows;

    if (!PyArg_ParseTuple(args, "Onn", &optimizer_object, &ranks, &rows) || bp_enter(self) < 0)
        return NULL;
    const struct bp_ranks all = {.count = (size_t)ranks, .rows = (size_t)rows};
    optimizer = bp_optimizer_settings(self->module, optimizer_object);
    const size_t room = optimizer ? bp_room_to_share(&self->net, optimizer, &all) : 0;
    bp_leave(self);
    return optimizer ? PyLong_FromSize_t(room) : NULL;
}

/* _train(x, y, optimizer, epochs, batch_size, bit_generator, threads, rates, sample_weight,
 *        validation, budget, first_epoch, record, shuffle, target_mask, norms, stream, ranks) -> epochs done, or -1
 * where another rank ended the training. x and y are None with a stream. */
PyObject *
bp_network_train(PyObject *object, PyObject *args)
{
    Network *self = (Network *)object;
    PyObject *x, *y, *optimizer, *bit_generator, *rates, *weights, *validation, *record;
    PyObject *mask, *stream, *ranks, *result = NULL;
    Py_ssize_t epochs, batch, threads, first_epoch;
    int shuffle, norms;
    struct bp_held_optimizer held = {0};
    double budget;
    struct bp_samples samples = {0}, held_out = {0};
    struct bp_hooks hooks = {.net = &self->net};
    struct bp_training training = {.poll = bp_check_signals, .poll_context = &hooks};
    struct bp_random random;
    enum bp_status status;

    if (!PyArg_ParseTuple(args, "OOOnnOnOOOdnOpOpOO", &x, &y, &optimizer, &epochs, &batch,
                          &bit_generator, &threads, &rates, &weights, &validation, &budget,
                          &first_epoch, &record, &shuffle, &mask, &norms, &stream, &ranks))
        return NULL;
    if (bp_hook_ranks(&hooks, &training, ranks) < 0)
        return NULL;
    if (bp_enter(self) < 0) {
        bp_hooks_refuse(&hooks);
        return NULL;
    }
    if (bp_hook_stream(&hooks, &training, stream) < 0)
        goto done;
    self->reader = hooks.reader;
    if (epochs < 1 || batch < 1 || threads < 1) {
        PyErr_SetString(PyExc_ValueError, "epochs, batch_size and threads must be at least 1");
        goto done;
    }
    if (training.stream == NULL && bp_read_samples(&samples, &self->net, x, y, "x", "y") < 0)
        goto done;
    if (mask != Py_None && bp_read_mask(&samples, &self->net, mask) < 0)
        goto done;
    if (validation != Py_None) {
        PyObject *xv, *yv;
        if (!PyArg_ParseTuple(validation, "OO;validation must be a pair (x, y)", &xv, &yv) ||
            bp_read_samples(&held_out, &self->net, xv, yv, "validation x", "validation y") < 0)
            goto done;
    }
    const size_t count = samples.data.x.rows;
    if (count > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "x has %zu samples, but at most %lu can be trained on", count,
                     (unsigned long)UINT32_MAX);
        goto done;
    }
    training.net = &self->net;
    training.parameters = bp_parameters_of(self);
    training.data = samples.data;
    training.validation = validation == Py_None ? NULL : &held_out.data;
    training.epochs = (size_t)epochs;
    training.batch = (size_t)batch;
    training.threads = self->customs && self->customs->python ? 1 : (size_t)threads;
    training.shuffle = shuffle;
    training.norms = norms;
    training.budget = budget;
    training.record = bp_doubles(record, "record", (npy_intp)epochs * BP_FIGURES);
    if (!training.record)
        goto done;
    if (bit_generator != Py_None) {
        if (bp_read_bit_generator(bit_generator, &random) < 0)
            goto done;
        training.random = &random;
    }
    else if (shuffle || self->net.dropout) {
        PyErr_SetString(PyExc_ValueError, "shuffling and dropout need a bit generator");
        goto done;
    }
    if (rates != Py_None) {
        const size_t steps = training.ranks ? training.ranks->steps
                                            : (count + (size_t)batch - 1) / (size_t)batch;
        training.rates = bp_doubles(rates, "rates", (npy_intp)(steps * (size_t)epochs));
        if (!training.rates)
            goto done;
    }
    if (weights != Py_None) {
        training.data.weights = bp_read_sample_weights(weights, count, training.ranks != NULL);
        if (!training.data.weights)
            goto done;
    }
    if (bp_hold_optimizer(&held, self->module, optimizer, &self->net) < 0)
        goto done;
    training.optimizer = &held.optimizer;
    if (training.ranks && bp_hook_shared(&hooks, &training) < 0)
        goto done;

    hooks.saved = PyEval_SaveThread();
    status = bp_train(&training);
    PyEval_RestoreThread(hooks.saved);

    bp_set_steps(optimizer, held.optimizer.steps);
    if (bp_failed(&self->net)) /* whatever came of the numbers that it left */
        bp_raise(BP_FAILED);
    else if (status == BP_OK)
        result = PyLong_FromSize_t(training.epochs_done);
    else if (status == BP_DIVERGED)
        raise_divergence(self->module, &training, first_epoch);
    else if (status == BP_ELSEWHERE || (status == BP_INTERRUPTED && !PyErr_Occurred()))
        result = PyLong_FromLong(-1);
    else
        bp_raise(status);
done:
    bp_hooks_refuse(&hooks);
    bp_release_hooks(&hooks);
    bp_release_optimizer(&held);
    bp_release_samples(&samples);
    bp_release_samples(&held_out);
    bp_leave(self);
    return result;
}
