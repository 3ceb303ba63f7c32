/* train_method.c: Network._train, which runs whole epochs in the core without the GIL. */
#include "network_type.h"

#include <math.h>
#include "core/functions.h"
#include "core/train.h"
#include "generator.h"
#include "optimizer_type.h"

/* Lets Python's signal handlers run; true when one of them raised. */
static bool
check_signals(void *context)
{
    PyThreadState **saved = context;

    PyEval_RestoreThread(*saved);
    const bool raised = PyErr_CheckSignals() < 0;
    *saved = PyEval_SaveThread();
    return raised;
}

static PyObject *
raise_divergence(const struct bp_module *module, const struct bp_training *t, Py_ssize_t epochs)
{
    const Py_ssize_t epoch = epochs + (Py_ssize_t)t->epochs_done + 1;
    const Py_ssize_t layer = (Py_ssize_t)t->bad_layer + 1;
    PyObject *text = PyUnicode_FromFormat(
        "training diverged in epoch %zd: layer %zd is the first that is not finite; the network "
        "keeps the weights it had before that epoch. A lower learning rate may help",
        epoch, layer);
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

/* A C-contiguous float64 array of `dimensions` axes with `count` numbers, borrowed as double. */
static double *
doubles(PyObject *object, const char *name, npy_intp count)
{
    if (!PyArray_Check(object) || PyArray_TYPE((PyArrayObject *)object) != NPY_DOUBLE ||
        !PyArray_ISCARRAY((PyArrayObject *)object) ||
        PyArray_SIZE((PyArrayObject *)object) != count) {
        PyErr_Format(PyExc_ValueError, "%s must be a contiguous float64 array of %zd numbers", name,
                     (Py_ssize_t)count);
        return NULL;
    }
    return PyArray_DATA((PyArrayObject *)object);
}

/* Reads the weights of the samples: finite, none negative, not all zero. */
static double *
read_sample_weights(PyObject *object, size_t samples)
{
    double *weights = doubles(object, "sample_weight", (npy_intp)samples), sum = 0;

    for (size_t n = 0; weights && n < samples; n++) {
        if (!(weights[n] >= 0 && isfinite(weights[n]))) {
            PyErr_Format(PyExc_ValueError,
                         "sample_weight must be finite and not negative, but entry %zu is not", n);
            return NULL;
        }
        sum += weights[n];
    }
    if (weights && !(sum > 0)) {
        PyErr_SetString(PyExc_ValueError, "sample_weight must not be zero for every sample");
        return NULL;
    }
    return weights;
}

/* _train(x, y, optimizer, epochs, batch_size, bit_generator, threads, rates, sample_weight,
 *        validation, budget, first_epoch, record, shuffle, target_mask, norms) -> epochs done */
PyObject *
bp_network_train(PyObject *object, PyObject *args)
{
    Network *self = (Network *)object;
    PyObject *x, *y, *optimizer, *bit_generator, *rates, *weights, *validation, *record;
    PyObject *mask, *result = NULL;
    Py_ssize_t epochs, batch, threads, first_epoch;
    int shuffle, norms;
    struct bp_held_optimizer held = {0};
    double budget;
    struct bp_samples samples = {0}, held_out = {0};
    struct bp_random random;
    enum bp_status status;

    if (!PyArg_ParseTuple(args, "OOOnnOnOOOdnOpOp", &x, &y, &optimizer, &epochs, &batch,
                          &bit_generator, &threads, &rates, &weights, &validation, &budget,
                          &first_epoch, &record, &shuffle, &mask, &norms))
        return NULL;
    if (epochs < 1 || batch < 1 || threads < 1) {
        PyErr_SetString(PyExc_ValueError, "epochs, batch_size and threads must be at least 1");
        return NULL;
    }
    if (bp_enter(self) < 0)
        return NULL;
    if (bp_read_samples(&samples, &self->net, x, y, "x", "y") < 0 ||
        (mask != Py_None && bp_read_mask(&samples, &self->net, mask) < 0))
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
    struct bp_training training = {
        .net = &self->net,
        .parameters = bp_parameters_of(self),
        .data = samples.data,
        .validation = validation == Py_None ? NULL : &held_out.data,
        .epochs = (size_t)epochs,
        .batch = (size_t)batch,
        .threads = self->customs && self->customs->python ? 1 : (size_t)threads,
        .shuffle = shuffle,
        .norms = norms,
        .budget = budget,
        .poll = check_signals,
    };
    training.record = doubles(record, "record", (npy_intp)epochs * BP_FIGURES);
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
        const size_t steps = (count + (size_t)batch - 1) / (size_t)batch * (size_t)epochs;
        training.rates = doubles(rates, "rates", (npy_intp)steps);
        if (!training.rates)
            goto done;
    }
    if (weights != Py_None) {
        training.data.weights = read_sample_weights(weights, count);
        if (!training.data.weights)
            goto done;
    }
    if (bp_hold_optimizer(&held, self->module, optimizer, &self->net) < 0)
        goto done;
    training.optimizer = &held.optimizer;

    PyThreadState *saved = PyEval_SaveThread();
    training.poll_context = &saved;
    status = bp_train(&training);
    PyEval_RestoreThread(saved);

    bp_set_steps(optimizer, held.optimizer.steps);
    if (bp_failed(&self->net)) /* whatever came of the numbers that it left */
        bp_raise(BP_FAILED);
    else if (status == BP_OK)
        result = PyLong_FromSize_t(training.epochs_done);
    else if (status == BP_DIVERGED)
        raise_divergence(self->module, &training, first_epoch);
    else
        bp_raise(status);
done:
    bp_release_optimizer(&held);
    bp_release_samples(&samples);
    bp_release_samples(&held_out);
    bp_leave(self);
    return result;
}
