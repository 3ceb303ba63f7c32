#include "network_terms.h"

#include <string.h>

#include "core/evaluate/gradient.h"
#include "core/evaluate/second_order.h"
#include "core/evaluate/trace.h"
#include "core/network/freedom.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "network_object.h"

struct given {
    struct bp_given_samples samples;
    PyObject *vector;
    bool per_sample;
};

#define GIVEN(field) offsetof(struct given, field)

static const struct bp_argument gradient_arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(samples.x), true, 0},
    {"y", BP_ARG_OPTIONAL, GIVEN(samples.y), false, 0},
    {"dC_da", BP_ARG_OPTIONAL, GIVEN(samples.dC_da), false, 0},
    {"per_sample", BP_ARG_FLAG, GIVEN(per_sample), false, 0},
    {"sample_weight", BP_ARG_OPTIONAL, GIVEN(samples.sample_weight), false, 0},
    {"target_mask", BP_ARG_OPTIONAL, GIVEN(samples.target_mask), false, 0},
};
static const struct bp_argument trace_arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(samples.x), true, 0},
    {"y", BP_ARG_OPTIONAL, GIVEN(samples.y), false, 0},
};
static const struct bp_argument hessian_vector_arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(samples.x), true, 0},
    {"y", BP_ARG_OBJECT, GIVEN(samples.y), true, 0},
    {"direction", BP_ARG_OBJECT, GIVEN(vector), true, 0},
    {"sample_weight", BP_ARG_OPTIONAL, GIVEN(samples.sample_weight), false, 0},
    {"target_mask", BP_ARG_OPTIONAL, GIVEN(samples.target_mask), false, 0},
};
const struct bp_signature bp_gradient_signature =
    BP_SIGNATURE("Network._gradient()", gradient_arguments, 2);
const struct bp_signature bp_trace_signature = {"Network._trace()", trace_arguments, 2, 2};
const struct bp_signature bp_hessian_vector_signature =
    BP_SIGNATURE("Network._hessian_vector()", hessian_vector_arguments, 3);

/* On as many threads as pay; the status, or an exception. */
static enum bp_status
compute_gradient(Network *self, const struct bp_samples *samples, struct bp_mean_gradient *mean)
{
    const struct bp_network *net = &self->net;
    const Py_ssize_t threads = bp_threads_for(self, samples, 6 * (double)net->parameters);
    enum bp_status status;

    mean->data = &samples->data;
    if (threads < 0)
        return BP_FAILED;
    if ((threads > 0 && bp_gradient_in_lanes(net, mean->data)) ||
        mean->data->x.rows > bp_rows_of_sum(net, mean->data)) {
        const struct bp_many many = bp_begin_many(self, samples, threads > 1 ? threads : 1);
        status = bp_gradient_many(&many, mean);
    }
    else {
        status = bp_begin(self, samples, 0);
        if (status == BP_OK)
            bp_gradient(net, &self->ws, self->parameters.at, mean);
    }
    return bp_end(self, status);
}

/* The mean over the samples: (gradient, inputs, C). */
static PyObject *
mean_gradient(Network *self, const struct bp_samples *samples)
{
    const struct bp_network *net = &self->net;
    const npy_intp features = (npy_intp)net->layers[0].inputs;
    const enum bp_dtype dtype = net->kernels->dtype;
    struct bp_numbers gradient;
    PyObject *inputs = PyArray_SimpleNew(1, &features, bp_type_number(dtype)), *result = NULL;
    enum bp_status status;

    if (!inputs)
        return NULL;
    if (bp_new_numbers(&gradient, net->parameters, dtype) == 0) {
        struct bp_mean_gradient mean = {
            .gradient = gradient.at,
            .inputs = PyArray_DATA((PyArrayObject *)inputs),
        };
        status = compute_gradient(self, samples, &mean);
        if (status != BP_OK && !PyErr_Occurred())
            bp_raise(status);
        else if (status == BP_OK)
            result = Py_BuildValue("NOd", bp_array_of_numbers(&gradient), inputs, mean.loss);
        bp_release_numbers(&gradient);
    }
    Py_DECREF(inputs);
    return result;
}

/* Of each sample, (n, ...): (gradient, inputs, losses). */
static PyObject *
gradient_per_sample(Network *self, const struct bp_samples *samples)
{
    const struct bp_network *net = &self->net;
    const npy_intp parameters = (npy_intp)net->parameters;
    const npy_intp features = (npy_intp)net->layers[0].inputs;
    const int type = bp_type_number(net->kernels->dtype);
    const npy_intp shape[] = {(npy_intp)samples->data.x.rows, parameters};
    const bool sparse = bp_is_sparse(&samples->data.x); /* then only what is not 0 is written */
    const int axes = samples->single ? 1 : 2;
    PyArrayObject *gradient =
        sparse ? (PyArrayObject *)PyArray_ZEROS(axes, shape + (2 - axes), type, 0)
               : bp_new_results(samples, 1, &parameters, type);
    PyArrayObject *inputs = gradient ? bp_new_results(samples, 1, &features, type) : NULL;
    PyArrayObject *losses = inputs ? bp_new_results(samples, 0, NULL, NPY_DOUBLE) : NULL;
    PyObject *result = NULL;
    enum bp_status status;

    if (!losses)
        goto done;
    status = bp_begin(self, samples, BP_INPUT_GRADIENT);
    if (status == BP_OK)
        bp_gradient_per_sample(net, &self->ws, self->parameters.at, &samples->data,
                               PyArray_DATA(gradient), PyArray_DATA(inputs), PyArray_DATA(losses));
    status = bp_end(self, status);
    if (status != BP_OK)
        bp_raise(status);
    else {
        PyObject *array_or_number = PyArray_Return((PyArrayObject *)Py_NewRef((PyObject *)losses));
        if (array_or_number)
            result = Py_BuildValue("OON", gradient, inputs, array_or_number);
    }
done:
    Py_XDECREF(gradient);
    Py_XDECREF(inputs);
    Py_XDECREF(losses);
    return result;
}

PyObject *
bp_network_gradient(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    struct given given = {0};
    struct bp_samples samples;

    if (bp_read_arguments(&bp_gradient_signature, args, count, names, &given) < 0 ||
        bp_enter_with_targets(self, &samples, &given.samples) < 0)
        return NULL;
    PyObject *result = given.per_sample ? gradient_per_sample(self, &samples)
                                        : mean_gradient(self, &samples);
    bp_leave_with_samples(self, &samples);
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
            array = bp_new_results(samples, matrix ? 2 : 1, square, type);
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

/* A list of new_layer_trace of every layer, and where all of them lie. */
static PyObject *
new_trace(const struct bp_network *net, const struct bp_samples *samples, bool targets,
          struct bp_trace *trace)
{
    PyObject *list = PyList_New((Py_ssize_t)net->count);

    for (size_t l = 0; list && l < net->count; l++) {
        PyObject *layer = new_layer_trace(net, l, samples, targets, &trace[l]);
        if (layer)
            PyList_SET_ITEM(list, (Py_ssize_t)l, layer);
        else
            Py_CLEAR(list);
    }
    return list;
}

PyObject *
bp_network_trace(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    const struct bp_network *net = &self->net;
    struct given given = {0};
    struct bp_samples samples;
    PyObject *list = NULL;
    enum bp_status status;

    if (bp_read_arguments(&bp_trace_signature, args, count, names, &given) < 0 ||
        bp_refuse_sparse(given.samples.x, "x") < 0 || bp_enter_with_samples(self, &samples, &given.samples) < 0)
        return NULL;
    const bool targets = given.samples.y != NULL;
    struct bp_trace *trace = PyMem_Calloc(net->count, sizeof(*trace));
    if (trace)
        list = new_trace(net, &samples, targets, trace);
    else
        PyErr_NoMemory();
    if (list) {
        status = bp_begin(self, &samples, BP_KEEP_Z);
        if (status == BP_OK)
            bp_trace(net, &self->ws, self->parameters.at, &samples.data, targets, trace);
        status = bp_end(self, status);
        if (status != BP_OK) {
            bp_raise(status);
            Py_CLEAR(list);
        }
    }
    PyMem_Free(trace);
    bp_leave_with_samples(self, &samples);
    return list;
}

/* Whether the Hessian times such a direction, a contiguous (parameters,) array of the dtype, can be had. */
static int
check_direction(const struct bp_network *net, PyObject *direction)
{
    PyArrayObject *array = (PyArrayObject *)direction;

    if (net->custom) {
        PyErr_SetString(PyExc_ValueError, "the Hessian needs second derivatives, which a custom "
                                          "activation or loss does not have");
        return -1;
    }
    if (!PyArray_Check(direction)) {
        PyErr_Format(PyExc_TypeError, "the direction must be an ndarray, not %R", direction);
        return -1;
    }
    if (PyArray_TYPE(array) != bp_type_number(net->kernels->dtype) || !PyArray_ISCARRAY_RO(array) ||
        PyArray_SIZE(array) != (npy_intp)net->parameters) {
        PyErr_Format(PyExc_ValueError, "the direction must be a contiguous array of %zu numbers",
                     net->parameters);
        return -1;
    }
    return 0;
}

PyObject *
bp_network_hessian_vector(PyObject *object, PyObject *const *args, Py_ssize_t count,
                          PyObject *names)
{
    Network *self = (Network *)object;
    const struct bp_network *net = &self->net;
    struct given given = {0};
    struct bp_samples samples;
    struct bp_workspace moved = {0};
    struct bp_numbers along = {0}, product = {0};
    PyObject *result = NULL;
    enum bp_status status;

    if (bp_read_arguments(&bp_hessian_vector_signature, args, count, names, &given) < 0 ||
        bp_enter_with_samples(self, &samples, &given.samples) < 0)
        return NULL;
    if (check_direction(net, given.vector) == 0 &&
        bp_new_numbers(&along, net->parameters, net->kernels->dtype) == 0 &&
        bp_new_numbers(&product, net->parameters, net->kernels->dtype) == 0) {
        memcpy(along.at, PyArray_DATA((PyArrayObject *)given.vector),
               net->parameters * net->kernels->size);
        bp_mask_vector(net, (struct bp_vector){along.at, false});
        status = bp_begin(self, &samples, BP_KEEP_Z);
        if (status == BP_OK)
            status = bp_workspace_lay_out(&moved, net, bp_rows_together(net, samples.data.x.rows), 1, BP_KEEP_Z);
        if (status == BP_OK)
            bp_hessian_vector(net, &self->ws, &moved, self->parameters.at, &samples.data, along.at,
                              product.at);
        bp_workspace_free(&moved);
        status = bp_end(self, status);
        result = status == BP_OK ? bp_array_of_numbers(&product) : bp_raise(status);
    }
    bp_release_numbers(&along);
    bp_release_numbers(&product);
    bp_leave_with_samples(self, &samples);
    return result;
}
