#include "network_methods.h"

#include "core/base/memory.h"
#include "core/evaluate/outputs.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "generator.h"
#include "network_object.h"

#define GIVEN(field) offsetof(struct bp_given_samples, field)

static const struct bp_argument arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(x), true, 0},
    {"y", BP_ARG_OBJECT, GIVEN(y), true, 0},
    {"sample_weight", BP_ARG_OPTIONAL, GIVEN(sample_weight), false, 0},
    {"target_mask", BP_ARG_OPTIONAL, GIVEN(target_mask), false, 0},
};
const struct bp_signature bp_classify_signature = {"Network.classify()", arguments, 1, 1};
const struct bp_signature bp_loss_signature = BP_SIGNATURE("Network.loss()", arguments, 2);
const struct bp_signature bp_losses_signature = BP_SIGNATURE("Network.losses()", arguments, 2);
const struct bp_signature bp_accuracy_signature = {"Network.accuracy()", arguments, 2, 2};

/* What is asked of all samples; the first three are arrays. */
enum quantity { OUTPUTS, CLASSES, LOSSES, LOSS, ACCURACY };

/* The array that a quantity goes to, which `results` then points to; NULL with an exception. */
static PyArrayObject *
new_array(const struct bp_network *net, const struct bp_samples *samples, enum quantity quantity,
          struct bp_results *results)
{
    const npy_intp outputs = (npy_intp)net->layers[net->count - 1].outputs;
    PyArrayObject *array;

    if (quantity == OUTPUTS) {
        array = bp_new_results(samples, 1, &outputs, bp_type_number(net->kernels->dtype));
        results->outputs = array ? PyArray_DATA(array) : NULL;
    }
    else if (quantity == CLASSES) {
        array = bp_new_results(samples, 0, NULL, NPY_INT64);
        results->classes = array ? PyArray_DATA(array) : NULL;
    }
    else {
        array = bp_new_results(samples, 0, NULL, NPY_DOUBLE);
        results->losses = array ? PyArray_DATA(array) : NULL;
    }
    return array;
}

static PyObject *
evaluate(PyObject *object, enum quantity quantity, const struct bp_given_samples *given)
{
    Network *self = (Network *)object;
    const struct bp_network *net = &self->net;
    struct bp_samples samples;
    struct bp_results results = {0};
    PyArrayObject *array = NULL;
    PyObject *result = NULL;
    enum bp_status status;

    if (bp_enter_with_samples(self, &samples, given) < 0)
        return NULL;
    if (quantity <= LOSSES) {
        array = new_array(net, &samples, quantity, &results);
        if (!array)
            goto done;
    }
    if (quantity == ACCURACY && !bp_has_classes(net, samples.data.labels)) {
        PyErr_SetString(PyExc_ValueError,
                        "accuracy is for classes, but this network has none: its outputs are numbers, and y "
                        "holds no labels; net.r2(x, y) says how well they fit");
        goto done;
    }
    status = bp_evaluate_samples(self, &samples, given->y != NULL, 0, NULL, &results);
    if (PyErr_Occurred())
        goto done;
    if (status != BP_OK)
        bp_raise(status);
    else if (quantity == LOSS)
        result = PyFloat_FromDouble(results.total / results.weight);
    else if (quantity == ACCURACY)
        result = PyFloat_FromDouble((double)results.right / (double)results.samples);
    else {
        result = PyArray_Return(array);
        array = NULL;
    }
done:
    Py_XDECREF(array);
    bp_leave_with_samples(self, &samples);
    return result;
}

#define EVALUATING_METHOD(name, quantity)                                                          \
    PyObject *bp_network_##name(PyObject *self, PyObject *const *args, Py_ssize_t count,           \
                                PyObject *names)                                                   \
    {                                                                                              \
        struct bp_given_samples given = {0};                                                       \
        if (bp_read_arguments(&bp_##name##_signature, args, count, names, &given) < 0)             \
            return NULL;                                                                           \
        return evaluate(self, quantity, &given);                                                   \
    }
EVALUATING_METHOD(classify, CLASSES)
EVALUATING_METHOD(loss, LOSS)
EVALUATING_METHOD(losses, LOSSES)
EVALUATING_METHOD(accuracy, ACCURACY)

/* _usable_threads(): one, unless the class above knows of more */
PyObject *
bp_network_usable_threads(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(nothing))
{
    return PyLong_FromLong(1);
}

/* _has_classes(labels) */
PyObject *
bp_network_has_classes(PyObject *object, PyObject *labels)
{
    const struct bp_network *net = &((Network *)object)->net;
    const int are_labels = PyObject_IsTrue(labels);

    if (are_labels < 0)
        return NULL;
    return PyBool_FromLong(net->count > 0 && bp_has_classes(net, are_labels));
}

/* Dropout's keys from a generator, a key for each layer, to be freed; NULL with an exception. */
static uint64_t *
draw_keys(Network *self, PyObject *rng)
{
    struct bp_held_generator generator = {0};
    PyObject *bits = PyObject_GetAttrString(rng, "bit_generator");
    uint64_t *keys = bits ? PyMem_Calloc(self->net.count, sizeof(*keys)) : NULL;

    if (bits && !keys)
        PyErr_NoMemory();
    if (keys && bp_hold_generator(&generator, bits, NULL) < 0) {
        PyMem_Free(keys);
        keys = NULL;
    }
    if (keys)
        bp_draw_keys(&self->net, &generator.random, keys);
    bp_release_generator(&generator);
    Py_XDECREF(bits);
    return keys;
}

/* The same from network.rng. */
uint64_t *
bp_draw_own_keys(Network *self)
{
    PyObject *rng = PyObject_GetAttrString((PyObject *)self, "rng");
    uint64_t *keys = rng ? draw_keys(self, rng) : NULL;

    Py_XDECREF(rng);
    return keys;
}

/* what net(x) is given by name */
struct asked {
    PyObject *out, *rng;
    int dropout;
};

/* Whether the numbers of two arrays may lie in the same memory. */
static bool
may_overlap(PyArrayObject *one, PyArrayObject *other)
{
    const char *low[2], *high[2];
    PyArrayObject *const arrays[] = {one, other};

    for (int i = 0; i < 2; i++) {
        low[i] = high[i] = PyArray_BYTES(arrays[i]);
        for (int axis = 0; axis < PyArray_NDIM(arrays[i]); axis++) {
            const npy_intp reach =
                (PyArray_DIM(arrays[i], axis) - 1) * PyArray_STRIDE(arrays[i], axis);
            *(reach < 0 ? &low[i] : &high[i]) += reach;
        }
        high[i] += PyArray_ITEMSIZE(arrays[i]);
    }
    return low[0] < high[1] && low[1] < high[0];
}

/* `out`, a new reference, if the outputs of these samples fit into it; NULL with an exception. */
static PyArrayObject *
check_out(Network *self, const struct bp_samples *samples, PyObject *out)
{
    const struct bp_network *net = &self->net;
    const size_t outputs = net->layers[net->count - 1].outputs, rows = samples->data.x.rows;
    PyArrayObject *array = (PyArrayObject *)out;

    if (!PyArray_Check(out) || PyArray_TYPE(array) != bp_type_number(net->kernels->dtype) ||
        !PyArray_ISCARRAY(array)) {
        PyErr_Format(PyExc_TypeError, "out must be a writable, C-contiguous array of %s",
                     bp_dtype_names[net->kernels->dtype]);
        return NULL;
    }
    const int axes = samples->single ? 1 : 2;
    if (PyArray_NDIM(array) != axes || (size_t)PyArray_DIM(array, axes - 1) != outputs ||
        (axes == 2 && (size_t)PyArray_DIM(array, 0) != rows)) {
        if (samples->single)
            (void)bp_wrong_shape(array, "out", "(%zu,)", outputs, 0);
        else
            (void)bp_wrong_shape(array, "out", "(%zu, %zu)", rows, outputs);
        return NULL;
    }
    const char *first = self->parameters.at, *at = PyArray_BYTES(array);
    if ((PyArray_Check(samples->x) && may_overlap(array, (PyArrayObject *)samples->x)) ||
        (at < first + net->parameters * net->kernels->size &&
         first < at + PyArray_NBYTES(array))) {
        PyErr_SetString(PyExc_ValueError, "out must not overlap x or the network's parameters");
        return NULL;
    }
    return (PyArrayObject *)Py_NewRef(out);
}

/* The keys that net(x, dropout=True, rng=rng) draws; NULL with an exception. */
static uint64_t *
keys_as_asked(Network *self, PyObject *rng)
{
    if (!self->net.dropout) {
        PyErr_SetString(PyExc_ValueError, "dropout=True needs a layer with dropout, Layer(..., dropout=0.5)");
        return NULL;
    }
    if (!rng || rng == Py_None)
        return bp_draw_own_keys(self);
    PyObject *module = PyImport_ImportModule("numpy.random");
    PyObject *generator = module ? PyObject_CallMethod(module, "default_rng", "O", rng) : NULL;
    uint64_t *keys = generator ? draw_keys(self, generator) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(generator);
    return keys;
}

/* The outputs, into `out` if there is one, with dropout if that is asked for. */
static PyObject *
outputs_as_asked(Network *self, const struct bp_given_samples *given, const struct asked *asked)
{
    const struct bp_network *net = &self->net;
    const bool to_out = asked->out && asked->out != Py_None;
    struct bp_samples samples;
    struct bp_results results = {0};
    struct bp_dropout dropout = {0};
    PyArrayObject *array = NULL;
    uint64_t *keys = NULL;
    enum bp_status status = BP_OK;

    if (bp_enter_with_samples(self, &samples, given) < 0)
        return NULL;
    array = to_out ? check_out(self, &samples, asked->out)
                   : new_array(net, &samples, OUTPUTS, &results);
    if (array && asked->dropout)
        keys = keys_as_asked(self, asked->rng);
    if (array && (keys || !asked->dropout)) {
        dropout.keys = keys;
        results.outputs = PyArray_DATA(array);
        status = bp_evaluate_samples(self, &samples, false, keys ? BP_DROPOUT : 0,
                                  keys ? &dropout : NULL, &results);
        if (status != BP_OK && !PyErr_Occurred())
            bp_raise(status);
    }
    if (PyErr_Occurred())
        Py_CLEAR(array);
    PyMem_Free(keys);
    bp_leave_with_samples(self, &samples);
    return (PyObject *)array;
}

PyObject *
bp_network_call(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"x", "out", "dropout", "rng", NULL};
    struct bp_given_samples given = {0};
    struct asked asked = {0};

    if (!keywords && PyTuple_GET_SIZE(args) == 1) {
        given.x = PyTuple_GET_ITEM(args, 0);
        return evaluate(self, OUTPUTS, &given);
    }
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$OpO:__call__", names, &given.x, &asked.out,
                                     &asked.dropout, &asked.rng))
        return NULL;
    if (asked.rng && asked.rng != Py_None && !asked.dropout) {
        PyErr_SetString(PyExc_ValueError, "rng is for dropout=True");
        return NULL;
    }
    return outputs_as_asked((Network *)self, &given, &asked);
}
