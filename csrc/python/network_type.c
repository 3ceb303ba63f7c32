/* network_type.c: the Python object around a bp_network: its life, and everything but training.
 * train_method.c has that. */
#include "network_type.h"

#include <math.h>

#include "core/evaluate/gradient.h"
#include "core/evaluate/outputs.h"
#include "core/evaluate/trace.h"
#include "core/base/memory.h"
#include "core/network/functions.h"
#include "core/train/step.h"
#include "generator.h"
#include "optimizer_type.h"

/* Samples evaluated at a time, and what a workspace may keep between two calls. */
enum { ROWS_AT_A_TIME = 128, BYTES_KEPT = 1 << 20 };

int
bp_enter(Network *self)
{
    if (self->net.count == 0) {
        PyErr_SetString(PyExc_RuntimeError, "Network.__init__ has not been called");
        return -1;
    }
    if (self->owner == PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this thread is computing with the network already: a signal handler can't use it, "
                        "nor can one of its own functions");
        return -1;
    }
    if (self->reader == PyThread_get_thread_ident()) { /* each would wait for the other */
        PyErr_SetString(PyExc_RuntimeError, "an iterable that a network trains on can't use the network: "
                                            "training waits for the batch. Use a copy of it");
        return -1;
    }
    PyLockStatus status = PyThread_acquire_lock_timed(self->lock, 0, 0);
    while (status != PY_LOCK_ACQUIRED) { /* another thread has it: wait, but not for Ctrl-C */
        if (status == PY_LOCK_INTR && PyErr_CheckSignals() < 0)
            return -1;
        Py_BEGIN_ALLOW_THREADS
        status = PyThread_acquire_lock_timed(self->lock, -1, 1);
        Py_END_ALLOW_THREADS
    }
    self->owner = PyThread_get_thread_ident();
    if (self->customs)
        atomic_store(&self->customs->failed, false);
    return 0;
}

void
bp_leave(Network *self)
{
    if (self->ws.block.size > BYTES_KEPT)
        bp_workspace_free(&self->ws);
    self->owner = 0;
    self->reader = 0;
    PyThread_release_lock(self->lock);
}

bp_real *
bp_parameters_of(Network *self)
{
    return PyArray_DATA((PyArrayObject *)self->parameters);
}

/* the workspace for `rows` rows, or at least one and as many as are done at a time */
static enum bp_status
prepare(Network *self, size_t rows, unsigned flags)
{
    return bp_workspace_lay_out(&self->ws, &self->net, rows, 1, flags);
}

static size_t
rows_at_a_time(const struct bp_samples *samples)
{
    const size_t rows = samples->data.x.rows;
    return rows < ROWS_AT_A_TIME ? rows : ROWS_AT_A_TIME;
}

/* A new array for results of n samples: (n, ...), or (...) for a single one. `shape` is that of
 * one sample's. */
static PyArrayObject *
new_results(const struct bp_samples *samples, int dimensions, const npy_intp *shape, int type)
{
    npy_intp whole[3] = {(npy_intp)samples->data.x.rows};
    int count = samples->single ? 0 : 1;

    for (int i = 0; i < dimensions; i++)
        whole[count++] = shape[i];
    return (PyArrayObject *)PyArray_SimpleNew(count, whole, type);
}

enum question { OUTPUTS, CLASSES, LOSSES, LOSS, ACCURACY };

static PyObject *
answer(Network *self, enum question question, PyObject *x, PyObject *y)
{
    struct bp_samples samples;
    struct bp_results results = {0};
    PyArrayObject *array = NULL;
    PyObject *result = NULL;
    enum bp_status status;

    if (bp_enter(self) < 0)
        return NULL;
    if (bp_read_samples(&samples, &self->net, x, y, "x", "y") < 0) {
        bp_leave(self);
        return NULL;
    }
    const struct bp_network *net = &self->net;
    const npy_intp outputs = (npy_intp)net->layers[net->count - 1].outputs;
    if (question == OUTPUTS)
        array = new_results(&samples, 1, &outputs, bp_type_number(net->kernels->dtype));
    else if (question == CLASSES)
        array = new_results(&samples, 0, NULL, NPY_INT64);
    else if (question == LOSSES)
        array = new_results(&samples, 0, NULL, NPY_DOUBLE);
    if (question <= LOSSES && !array)
        goto done;
    results.outputs = question == OUTPUTS ? PyArray_DATA(array) : NULL;
    results.classes = question == CLASSES ? PyArray_DATA(array) : NULL;
    results.losses = question == LOSSES ? PyArray_DATA(array) : NULL;

    Py_BEGIN_ALLOW_THREADS
    status = prepare(self, rows_at_a_time(&samples), 0);
    if (status == BP_OK)
        bp_evaluate((struct bp_pass){.net = net,
                                     .ws = &self->ws,
                                     .parameters = {bp_parameters_of(self), false},
                                     .threads = 1},
                    &samples.data, y != NULL, &results);
    Py_END_ALLOW_THREADS

    const double count = (double)samples.data.x.rows;
    if (status != BP_OK || bp_failed(net))
        bp_raise(status == BP_OK ? BP_FAILED : status);
    else if (question == LOSS)
        result = PyFloat_FromDouble(results.total / count);
    else if (question == ACCURACY)
        result = PyFloat_FromDouble((double)results.right / count);
    else {
        result = PyArray_Return(array);
        array = NULL;
    }
done:
    Py_XDECREF(array);
    bp_release_samples(&samples);
    bp_leave(self);
    return result;
}

static PyObject *
network_call(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"x", NULL};
    PyObject *x;

    if (!keywords && PyTuple_GET_SIZE(args) == 1)
        x = PyTuple_GET_ITEM(args, 0);
    else if (!PyArg_ParseTupleAndKeywords(args, keywords, "O:__call__", names, &x))
        return NULL;
    return answer((Network *)self, OUTPUTS, x, NULL);
}

/* Arguments named in `names`, all of them required, by position or keyword, into `values`. */
static int
read_arguments(const char *function, const char *const names[], size_t count,
               PyObject *const *args, Py_ssize_t positional, PyObject *keywords,
               PyObject **values)
{
    const size_t given = (size_t)positional;
    const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;

    if (given > count) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zu arguments, but %zu were given", function,
                     count, given);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        values[i] = i < given ? args[i] : NULL;
    for (Py_ssize_t k = 0; k < named; k++) {
        PyObject *name = PyTuple_GET_ITEM(keywords, k);
        size_t i = 0;
        while (i < count && PyUnicode_CompareWithASCIIString(name, names[i]) != 0)
            i++;
        if (i == count || values[i]) {
            PyErr_Format(PyExc_TypeError, "%s() got %s argument %R", function,
                         i == count ? "an unexpected" : "more than one", name);
            return -1;
        }
        values[i] = args[given + (size_t)k];
    }
    for (size_t i = 0; i < count; i++)
        if (!values[i]) {
            PyErr_Format(PyExc_TypeError, "%s() needs argument '%s'", function, names[i]);
            return -1;
        }
    return 0;
}

static const char *const x_y_optimizer[] = {"x", "y", "optimizer"};

static PyObject *
network_classify(PyObject *self, PyObject *const *args, Py_ssize_t given, PyObject *keywords)
{
    PyObject *values[1];
    if (read_arguments("classify", x_y_optimizer, 1, args, given, keywords, values) < 0)
        return NULL;
    return answer((Network *)self, CLASSES, values[0], NULL);
}

#define QUESTION_OF_X_AND_Y(name, question)                                                        \
    static PyObject *network_##name(PyObject *self, PyObject *const *args, Py_ssize_t given,       \
                                    PyObject *keywords)                                            \
    {                                                                                              \
        PyObject *values[2];                                                                       \
        if (read_arguments(#name, x_y_optimizer, 2, args, given, keywords, values) < 0)            \
            return NULL;                                                                           \
        return answer((Network *)self, question, values[0], values[1]);                            \
    }
QUESTION_OF_X_AND_Y(loss, LOSS)
QUESTION_OF_X_AND_Y(losses, LOSSES)
QUESTION_OF_X_AND_Y(accuracy, ACCURACY)

static PyObject *
network_step(PyObject *object, PyObject *const *args, Py_ssize_t given, PyObject *keywords)
{
    Network *self = (Network *)object;
    PyObject *values[3];
    struct bp_samples samples;
    struct bp_dropout dropout = {0};
    uint64_t *keys = NULL;
    bp_real *gradient = NULL;
    enum bp_status status = BP_FAILED;
    double loss = 0;
    struct bp_held_generator generator = {0};

    if (read_arguments("step", x_y_optimizer, 3, args, given, keywords, values) < 0 ||
        (self->net.dropout && bp_hold_generator(&generator, object) < 0))
        return NULL;
    if (bp_enter(self) < 0) {
        bp_release_generator(&generator);
        return NULL;
    }
    if (bp_read_samples(&samples, &self->net, values[0], values[1], "x", "y") < 0) {
        bp_leave(self);
        bp_release_generator(&generator);
        return NULL;
    }
    struct bp_held_optimizer held;
    PyObject *result = PyFloat_FromDouble(0); /* after the step there may be no memory for it */
    if (result && bp_hold_optimizer(&held, self->module, values[2], &self->net) == 0) {
        struct bp_optimizer optimizer = held.optimizer;
        if (self->net.dropout) {
            dropout.keys = keys = PyMem_Calloc(self->net.count, sizeof(*keys));
            if (!keys) {
                PyErr_NoMemory();
                goto release;
            }
            bp_draw_keys(&self->net, &generator.random, keys);
        }
        Py_BEGIN_ALLOW_THREADS
        status = prepare(self, samples.data.x.rows, self->net.dropout ? BP_DROPOUT : 0);
        if (status == BP_OK && !bp_is_plain(&self->net, &optimizer)) {
            gradient = bp_allocate(bp_room(&self->net), self->net.kernels->size);
            status = gradient ? BP_OK : BP_NO_MEMORY;
        }
        if (status == BP_OK)
            loss = bp_step(&self->net, &self->ws, bp_parameters_of(self), &samples.data,
                           &optimizer, gradient, keys ? &dropout : NULL);
        if (status == BP_OK && bp_failed(&self->net))
            status = BP_FAILED;
        bp_free(gradient);
        Py_END_ALLOW_THREADS
        if (status == BP_OK)
            bp_set_steps(values[2], optimizer.steps);
        else
            bp_raise(status);
release:
        PyMem_Free(keys);
        bp_release_optimizer(&held);
    }
    bp_release_samples(&samples);
    bp_leave(self);
    bp_release_generator(&generator);
    if (status != BP_OK)
        Py_CLEAR(result);
    else
        ((PyFloatObject *)result)->ob_fval = loss;
    return result;
}

static PyObject *
network_gradient(PyObject *object, PyObject *args)
{
    Network *self = (Network *)object;
    PyObject *x, *y, *result = NULL;
    int per_sample;
    struct bp_samples samples;
    PyArrayObject *flat = NULL, *inputs = NULL, *losses = NULL;
    bp_real *memory = NULL;
    enum bp_status status;
    double loss = 0;

    if (!PyArg_ParseTuple(args, "OOp", &x, &y, &per_sample) || bp_enter(self) < 0)
        return NULL;
    if (bp_read_samples(&samples, &self->net, x, y, "x", "y") < 0) {
        bp_leave(self);
        return NULL;
    }
    const struct bp_network *net = &self->net;
    const npy_intp parameters = (npy_intp)net->parameters;
    const npy_intp features = (npy_intp)net->layers[0].inputs;
    const int type = bp_type_number(net->kernels->dtype);

    if (per_sample) {
        flat = new_results(&samples, 1, &parameters, type);
        inputs = flat ? new_results(&samples, 1, &features, type) : NULL;
        losses = inputs ? new_results(&samples, 0, NULL, NPY_DOUBLE) : NULL;
    }
    else {
        memory = bp_allocate(bp_room(net), net->kernels->size);
        flat = memory ? (PyArrayObject *)bp_array_on(memory, 1, &parameters, type)
                      : (PyArrayObject *)bp_raise(BP_NO_MEMORY);
        inputs = flat ? (PyArrayObject *)PyArray_SimpleNew(1, &features, type) : NULL;
    }
    if (!flat || !inputs || (per_sample && !losses))
        goto done;

    Py_BEGIN_ALLOW_THREADS
    status = prepare(self, rows_at_a_time(&samples), BP_INPUT_GRADIENT);
    if (status == BP_OK && per_sample)
        bp_gradient_per_sample(net, &self->ws, bp_parameters_of(self), &samples.data,
                               PyArray_DATA(flat), PyArray_DATA(inputs), PyArray_DATA(losses));
    else if (status == BP_OK)
        loss = bp_gradient(net, &self->ws, bp_parameters_of(self), &samples.data,
                           PyArray_DATA(flat), PyArray_DATA(inputs));
    Py_END_ALLOW_THREADS

    if (status != BP_OK || bp_failed(net))
        bp_raise(status == BP_OK ? BP_FAILED : status);
    else if (per_sample) {
        PyObject *losses_or_scalar = PyArray_Return((PyArrayObject *)Py_NewRef((PyObject *)losses));
        result = losses_or_scalar ? Py_BuildValue("OON", flat, inputs, losses_or_scalar) : NULL;
    }
    else
        result = Py_BuildValue("OOd", flat, inputs, loss);
done:
    Py_XDECREF(flat);
    Py_XDECREF(inputs);
    Py_XDECREF(losses);
    bp_release_samples(&samples);
    bp_leave(self);
    return result;
}

/* One layer's five arrays as a tuple, the last three None without targets, and where they lie. */
static PyObject *
new_layer_trace(const struct bp_network *net, size_t l, const struct bp_samples *samples,
                bool targets, struct bp_trace *trace)
{
    bp_real **const places[] = {&trace->z, &trace->a, &trace->dC_da, &trace->da_dz, &trace->dC_dz};
    const npy_intp nodes = (npy_intp)net->layers[l].outputs, square[] = {nodes, nodes};
    const int type = bp_type_number(net->kernels->dtype);
    PyObject *tuple = PyTuple_New(5);

    for (Py_ssize_t i = 0; tuple && i < 5; i++) {
        const bool matrix = places[i] == &trace->da_dz && net->layers[l].activation == BP_SOFTMAX;
        PyArrayObject *array = NULL;
        if (i < 2 || targets) {
            array = new_results(samples, matrix ? 2 : 1, square, type);
            if (!array) {
                Py_CLEAR(tuple);
                break;
            }
            *places[i] = PyArray_DATA(array);
        }
        PyTuple_SET_ITEM(tuple, i, array ? (PyObject *)array : Py_NewRef(Py_None));
    }
    return tuple;
}

static PyObject *
network_trace(PyObject *object, PyObject *args)
{
    Network *self = (Network *)object;
    PyObject *x, *y = Py_None, *list = NULL;
    struct bp_samples samples;
    struct bp_trace *trace = NULL;
    enum bp_status status;

    if (!PyArg_ParseTuple(args, "O|O", &x, &y) || bp_enter(self) < 0)
        return NULL;
    const bool targets = y != Py_None;
    if (bp_read_samples(&samples, &self->net, x, targets ? y : NULL, "x", "y") < 0) {
        bp_leave(self);
        return NULL;
    }
    const struct bp_network *net = &self->net;
    list = PyList_New((Py_ssize_t)net->count);
    trace = PyMem_Calloc(net->count, sizeof(*trace));
    if (!list || !trace) {
        if (!trace)
            PyErr_NoMemory();
        Py_CLEAR(list);
        goto done;
    }
    for (size_t l = 0; l < net->count; l++) {
        PyObject *layer = new_layer_trace(net, l, &samples, targets, &trace[l]);
        if (!layer) {
            Py_CLEAR(list);
            goto done;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)l, layer);
    }
    Py_BEGIN_ALLOW_THREADS
    status = prepare(self, rows_at_a_time(&samples), BP_KEEP_Z);
    if (status == BP_OK)
        bp_trace(net, &self->ws, bp_parameters_of(self), &samples.data, targets, trace);
    Py_END_ALLOW_THREADS
    if (status != BP_OK || bp_failed(net)) {
        bp_raise(status == BP_OK ? BP_FAILED : status);
        Py_CLEAR(list);
    }
done:
    PyMem_Free(trace);
    bp_release_samples(&samples);
    bp_leave(self);
    return list;
}

static PyObject *
network_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args;
    (void)keywords;
    Network *self = (Network *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->module = bp_module_of_type(type);
    self->lock = PyThread_allocate_lock();
    if (!self->module || !self->lock) {
        if (!self->lock)
            PyErr_NoMemory();
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
network_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Network *)self)->parameters);
    return bp_visit_customs(((Network *)self)->customs, visit, arg);
}

static int
network_clear(PyObject *self)
{
    /* not `parameters`: an array refers to nothing that could refer back, and methods need it */
    bp_clear_customs(((Network *)self)->customs);
    return 0;
}

static void
network_dealloc(PyObject *object)
{
    Network *self = (Network *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    Py_CLEAR(self->parameters);
    bp_workspace_free(&self->ws);
    PyMem_Free(self->net.layers);
    bp_clear_customs(self->customs);
    PyMem_Free(self->customs);
    if (self->lock)
        PyThread_free_lock(self->lock);
    type->tp_free(object);
    Py_DECREF(type);
}

/* The place in `names` of a function's name; or that of `custom`, and a pair of functions is read
 * into `customs`, which is made when it is needed. -1 with an exception. */
static int
read_function(PyObject *object, const char *const names[], const char *kind, int custom,
              struct bp_customs **customs, size_t layers, size_t layer)
{
    if (!PyTuple_Check(object)) {
        const char *name = PyUnicode_AsUTF8(object);
        return name ? bp_find_name(names, name, kind) : -1;
    }
    if (!*customs)
        *customs = bp_new_customs(layers);
    if (!*customs)
        return -1;
    const int read = layer < layers ? bp_read_activation(*customs, object, layer)
                                    : bp_read_loss(*customs, object);
    return read < 0 ? -1 : custom;
}

/* Reads (inputs, outputs, activation, bias, l1, l2, dropout) into layer l of net. */
static int
read_layer(PyObject *tuple, struct bp_network *net, size_t l, struct bp_customs **customs)
{
    Py_ssize_t inputs, outputs;
    PyObject *activation;
    int bias;
    double l1, l2, dropout;

    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError,
                        "a layer must be (inputs, outputs, activation, bias, l1, l2, dropout)");
        return -1;
    }
    if (!PyArg_ParseTuple(tuple, "nnOpddd", &inputs, &outputs, &activation, &bias, &l1, &l2,
                          &dropout))
        return -1;
    if (inputs < 1 || outputs < 1) {
        PyErr_Format(PyExc_ValueError, "a layer needs at least one input and output, not %zd and %zd",
                     inputs, outputs);
        return -1;
    }
    if (!(l1 >= 0 && l2 >= 0 && dropout >= 0 && dropout < 1) || !isfinite(l1 + l2)) {
        PyErr_SetString(PyExc_ValueError, "l1 and l2 must be at least 0, dropout 0 or more but below 1");
        return -1;
    }
    const int g = read_function(activation, bp_activation_names, "activation", BP_IDENTITY, customs,
                                net->count, l);
    if (g < 0)
        return -1;
    net->layers[l] = (struct bp_layer){
        .inputs = (size_t)inputs,
        .outputs = (size_t)outputs,
        .bias = bias,
        .activation = (enum bp_activation)g,
        .custom = PyTuple_Check(activation) ? &(*customs)->activations[l].activation : NULL,
        .l1 = l1,
        .l2 = l2,
        .dropout = dropout,
    };
    return 0;
}

static PyObject *
network_setup(PyObject *object, PyObject *args)
{
    Network *self = (Network *)object;
    PyObject *layers, *loss_object;
    const char *dtype;
    struct bp_network net = {0};
    struct bp_customs *customs = NULL;

    if (!PyArg_ParseTuple(args, "O!Os", &PyList_Type, &layers, &loss_object, &dtype))
        return NULL;
    if (self->net.count > 0) {
        PyErr_SetString(PyExc_RuntimeError, "a network is set up only once");
        return NULL;
    }
    const int precision = bp_find_name(bp_dtype_names, dtype, "dtype");
    if (precision < 0)
        return NULL;
    net.count = (size_t)PyList_GET_SIZE(layers);
    if (net.count == 0) {
        PyErr_SetString(PyExc_ValueError, "a network needs at least one layer");
        return NULL;
    }
    net.kernels = self->module->kernels[precision];
    net.layers = PyMem_Calloc(net.count, sizeof(*net.layers));
    if (!net.layers)
        return PyErr_NoMemory();

    const int loss = read_function(loss_object, bp_loss_names, "loss", BP_SQUARED_ERROR, &customs,
                                   net.count, net.count);
    if (loss < 0)
        goto fail;
    net.loss = (enum bp_loss)loss;
    for (size_t l = 0; l < net.count; l++) {
        if (read_layer(PyList_GET_ITEM(layers, (Py_ssize_t)l), &net, l, &customs) < 0)
            goto fail;
        if (l > 0 && net.layers[l].inputs != net.layers[l - 1].outputs) {
            PyErr_Format(PyExc_ValueError, "layer %zu has %zu outputs, but layer %zu has %zu inputs",
                         l, net.layers[l - 1].outputs, l + 1, net.layers[l].inputs);
            goto fail;
        }
    }
    net.custom_loss = PyTuple_Check(loss_object) ? &customs->loss.loss : NULL;
    net.failed = customs ? &customs->failed : NULL;
    const enum bp_status status = bp_network_lay_out(&net);
    if (status != BP_OK) {
        bp_raise(status);
        goto fail;
    }
    void *memory = bp_allocate(bp_room(&net), net.kernels->size);
    if (!memory) {
        PyErr_Format(PyExc_MemoryError,
                     "the system has not the memory for a network of %zu parameters, %zu bytes each",
                     net.parameters, net.kernels->size);
        goto fail;
    }
    const npy_intp count = (npy_intp)net.parameters;
    self->parameters = bp_array_on(memory, 1, &count, bp_type_number(net.kernels->dtype));
    if (!self->parameters)
        goto fail;
    self->customs = customs;
    self->net = net;
    Py_RETURN_NONE;
fail:
    bp_clear_customs(customs);
    PyMem_Free(customs);
    PyMem_Free(net.layers);
    return NULL;
}

static PyObject *
network_get_parameters(PyObject *object, void *closure)
{
    Network *self = (Network *)object;
    (void)closure;
    if (!self->parameters) {
        PyErr_SetString(PyExc_AttributeError, "Network.__init__ has not been called");
        return NULL;
    }
    return Py_NewRef(self->parameters);
}

#define FAST(function) _PyCFunction_CAST(function), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef network_methods[] = {
    {"_setup", network_setup, METH_VARARGS, NULL},
    {"_gradient", network_gradient, METH_VARARGS, NULL},
    {"_trace", network_trace, METH_VARARGS, NULL},
    {"_train", bp_network_train, METH_VARARGS, NULL},
    {"_room_to_share", bp_network_room_to_share, METH_VARARGS, NULL},
    {"_jacobian", bp_network_jacobian, METH_O, NULL},
    {"_hessian_vector", bp_network_hessian_vector, METH_VARARGS, NULL},
    {"classify", FAST(network_classify), bp_classify_doc},
    {"loss", FAST(network_loss), bp_loss_doc},
    {"losses", FAST(network_losses), bp_losses_doc},
    {"accuracy", FAST(network_accuracy), bp_accuracy_doc},
    {"step", FAST(network_step), bp_step_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef network_getset[] = {
    {"parameters", network_get_parameters, NULL,
     "All weights and biases as one live, writable vector, (parameters,), in the\n"
     "network's dtype. Layer after layer: the weights as (inputs, outputs), row by\n"
     "row, then the bias.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot network_slots[] = {
    {Py_tp_doc, "Base class of Network."},
    {Py_tp_new, network_new},
    {Py_tp_dealloc, network_dealloc},
    {Py_tp_traverse, network_traverse},
    {Py_tp_clear, network_clear},
    {Py_tp_call, network_call},
    {Py_tp_methods, network_methods},
    {Py_tp_getset, network_getset},
    {0, NULL},
};

PyType_Spec bp_network_spec = {
    .name = "backprop._core.Network",
    .basicsize = sizeof(Network),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = network_slots,
};
