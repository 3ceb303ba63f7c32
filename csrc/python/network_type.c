/* network_type.c: the type backprop._core.Network: its life, how it is set up, and the table of its methods. */
#include <math.h>

#include "core/base/memory.h"
#include "network_freedom.h"
#include "network_jacobians.h"
#include "network_methods.h"
#include "network_object.h"
#include "network_terms.h"
#include "network_type.h"
#include "population_methods.h"
#include "solve_method.h"
#include "train_method.h"

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
    Py_VISIT(((Network *)self)->parameters.owner);
    return bp_visit_customs(((Network *)self)->customs, visit, arg);
}

static int
network_clear(PyObject *self)
{
    /* not the parameters: their owner refers to nothing, and methods need them */
    bp_clear_customs(((Network *)self)->customs);
    return 0;
}

static void
network_dealloc(PyObject *object)
{
    Network *self = (Network *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    bp_release_numbers(&self->parameters);
    bp_workspace_free(&self->ws);
    for (size_t l = 0; l < self->net.count; l++)
        bp_free(self->net.layers[l].freedom.mask);
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
name_or_custom(PyObject *object, const char *const names[], const char *kind, int custom,
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

struct given_layer {
    struct bp_layer layer;
    PyObject *activation;
};

#define LAYER(field) offsetof(struct given_layer, layer.field)

static const struct bp_argument layer_arguments[] = {
    {"inputs", BP_ARG_SIZE, LAYER(inputs), true, 1},
    {"outputs", BP_ARG_SIZE, LAYER(outputs), true, 1},
    {"activation", BP_ARG_OBJECT, offsetof(struct given_layer, activation), true, 0},
    {"bias", BP_ARG_FLAG, LAYER(bias), true, 0},
    {"l1", BP_ARG_REAL, LAYER(l1), true, 0},
    {"l2", BP_ARG_REAL, LAYER(l2), true, 0},
    {"dropout", BP_ARG_REAL, LAYER(dropout), true, 0},
};
const struct bp_signature bp_layer_signature = BP_SIGNATURE("layer", layer_arguments, 0);

/* Reads a dict of such arguments into layer l of net. */
static int
read_layer(PyObject *dict, struct bp_network *net, size_t l, struct bp_customs **customs)
{
    struct given_layer given = {.layer.freedom = {.rate = 1, .bias_rate = 1}};
    struct bp_layer *layer = &given.layer;
    PyObject *kept;

    if (bp_read_dict(&bp_layer_signature, dict, &given, &kept) < 0)
        return -1;
    int g = -1;
    if (layer->dropout < 1 && isfinite(layer->l1 + layer->l2))
        g = name_or_custom(given.activation, bp_activation_names, "activation", BP_IDENTITY,
                           customs, net->count, l);
    else
        PyErr_SetString(PyExc_ValueError, "l1 and l2 must be finite, and dropout below 1");
    if (g >= 0) {
        layer->activation = (enum bp_activation)g;
        if (PyTuple_Check(given.activation))
            layer->custom = &(*customs)->activations[l].activation;
        net->layers[l] = *layer;
    }
    Py_DECREF(kept);
    return g < 0 ? -1 : 0;
}

/* Reads the layers and the loss into net, whose layers have room; 0, or -1 with an exception. */
static int
read_functions(PyObject *layers, PyObject *loss_object, struct bp_network *net,
               struct bp_customs **customs)
{
    const int loss = name_or_custom(loss_object, bp_loss_names, "loss", BP_SQUARED_ERROR, customs,
                                    net->count, net->count);
    if (loss < 0)
        return -1;
    net->loss = (enum bp_loss)loss;
    for (size_t l = 0; l < net->count; l++) {
        if (read_layer(PyTuple_GET_ITEM(layers, (Py_ssize_t)l), net, l, customs) < 0)
            return -1;
        if (l > 0 && net->layers[l].inputs != net->layers[l - 1].outputs) {
            PyErr_Format(PyExc_ValueError,
                         "layer %zu has %zu outputs, but layer %zu has %zu inputs", l,
                         net->layers[l - 1].outputs, l + 1, net->layers[l].inputs);
            return -1;
        }
    }
    net->custom_loss = PyTuple_Check(loss_object) ? &(*customs)->loss.loss : NULL;
    net->failed = *customs ? &(*customs)->failed : NULL;
    return 0;
}

struct given {
    PyObject *layers, *loss;
    const char *dtype;
};

static const struct bp_argument setup_arguments[] = {
    {"layers", BP_ARG_OBJECT, offsetof(struct given, layers), true, 0},
    {"loss", BP_ARG_OBJECT, offsetof(struct given, loss), true, 0},
    {"dtype", BP_ARG_TEXT, offsetof(struct given, dtype), true, 0},
};
const struct bp_signature bp_network_setup_signature =
    BP_SIGNATURE("Network._setup()", setup_arguments, 3);

/* Makes room for the parameters of a network that is read; 0, or -1 with an exception. */
static int
new_parameters(struct bp_network *net, struct bp_numbers *parameters)
{
    const enum bp_status status = bp_network_lay_out(net);

    if (status != BP_OK) {
        bp_raise(status);
        return -1;
    }
    if (bp_new_numbers(parameters, net->parameters, net->kernels->dtype) == 0)
        return 0;
    PyErr_Format(PyExc_MemoryError,
                 "the system has not the memory for a network of %zu parameters, %zu bytes each",
                 net->parameters, net->kernels->size);
    return -1;
}

static PyObject *
network_setup(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    struct given given = {0};
    struct bp_network net = {0};
    struct bp_customs *customs = NULL;
    struct bp_numbers parameters;

    if (bp_read_arguments(&bp_network_setup_signature, args, count, names, &given) < 0)
        return NULL;
    const int precision = bp_find_name(bp_dtype_names, given.dtype, "dtype");
    if (precision < 0)
        return NULL;
    if (!PyList_Check(given.layers))
        return PyErr_Format(PyExc_TypeError, "layers must be a list, not %R", given.layers);
    PyObject *layers = PyList_AsTuple(given.layers); /* which nobody changes meanwhile */
    if (!layers)
        return NULL;
    net.kernels = self->module->kernels[precision];
    net.count = (size_t)PyTuple_GET_SIZE(layers);
    net.layers = PyMem_Calloc(net.count, sizeof(*net.layers));
    if (!net.layers)
        PyErr_NoMemory();
    else if (net.count == 0)
        PyErr_SetString(PyExc_ValueError, "a network needs at least one layer");
    else if (read_functions(layers, given.loss, &net, &customs) == 0) {
        if (self->net.count > 0)
            PyErr_SetString(PyExc_RuntimeError, "a network is set up only once");
        else if (new_parameters(&net, &parameters) == 0) {
            self->parameters = parameters;
            self->customs = customs;
            self->net = net;
            Py_DECREF(layers);
            Py_RETURN_NONE;
        }
    }
    bp_clear_customs(customs);
    PyMem_Free(customs);
    PyMem_Free(net.layers);
    Py_DECREF(layers);
    return NULL;
}

static PyObject *
network_get_parameters(PyObject *object, void *closure)
{
    Network *self = (Network *)object;
    (void)closure;
    if (self->net.count == 0) {
        PyErr_SetString(PyExc_AttributeError, "Network.__init__ has not been called");
        return NULL;
    }
    return bp_array_of_numbers(&self->parameters);
}

static PyMethodDef network_methods[] = {
    {"_setup", BP_FAST(network_setup), NULL},
    {"_gradient", BP_FAST(bp_network_gradient), NULL},
    {"_trace", BP_FAST(bp_network_trace), NULL},
    {"_train", BP_FAST(bp_network_train), NULL},
    {"_locked", bp_network_locked, METH_O, NULL},
    {"_room_to_share", BP_FAST(bp_network_room_to_share), NULL},
    {"_solve", BP_FAST(bp_network_solve), NULL},
    {"_train_population", BP_FAST(bp_network_train_population), NULL},
    {"_population_outputs", BP_FAST(bp_network_population_outputs), NULL},
    {"_population_scores", BP_FAST(bp_network_population_scores), NULL},
    {"_set_freedom", BP_FAST(bp_network_set_freedom), NULL},
    {"_levenberg_bytes", BP_FAST(bp_network_levenberg_bytes), NULL},
    {"_jacobian", BP_FAST(bp_network_jacobian), NULL},
    {"jacobian_vector", BP_FAST(bp_network_jacobian_vector), bp_jacobian_vector_doc},
    {"vector_jacobian", BP_FAST(bp_network_vector_jacobian), bp_vector_jacobian_doc},
    {"_hessian_vector", BP_FAST(bp_network_hessian_vector), NULL},
    {"_has_classes", bp_network_has_classes, METH_O, NULL},
    {"_usable_threads", bp_network_usable_threads, METH_NOARGS, NULL},
    {"classify", BP_FAST(bp_network_classify), bp_classify_doc},
    {"loss", BP_FAST(bp_network_loss), bp_loss_doc},
    {"losses", BP_FAST(bp_network_losses), bp_losses_doc},
    {"accuracy", BP_FAST(bp_network_accuracy), bp_accuracy_doc},
    {"step", BP_FAST(bp_network_step), bp_step_doc},
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
    {Py_tp_call, bp_network_call},
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
