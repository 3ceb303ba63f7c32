#include "network_jacobians.h"

#include "core/evaluate/jacobian.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "network_object.h"

struct given {
    struct bp_given_samples samples;
    PyObject *vector;
};

#define GIVEN(field) offsetof(struct given, field)

static const struct bp_argument jacobian_arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(samples.x), true, 0},
};
static const struct bp_argument jacobian_vector_arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(samples.x), true, 0},
    {"v", BP_ARG_OBJECT, GIVEN(vector), true, 0},
};
static const struct bp_argument vector_jacobian_arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(samples.x), true, 0},
    {"u", BP_ARG_OBJECT, GIVEN(vector), true, 0},
};
const struct bp_signature bp_jacobian_signature =
    BP_SIGNATURE("Network._jacobian()", jacobian_arguments, 1);
const struct bp_signature bp_jacobian_vector_signature =
    BP_SIGNATURE("Network.jacobian_vector()", jacobian_vector_arguments, 2);
const struct bp_signature bp_vector_jacobian_signature =
    BP_SIGNATURE("Network.vector_jacobian()", vector_jacobian_arguments, 2);

/* Ends the computation: what it wrote into out, a reference that is taken over, or an exception. */
static PyObject *
end_with(Network *self, PyArrayObject *out, enum bp_status status)
{
    status = bp_end(self, status);
    if (status == BP_OK)
        return (PyObject *)out;
    Py_DECREF(out);
    return bp_raise(status);
}

PyObject *
bp_network_jacobian(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    const struct bp_network *net = &self->net;
    struct given given = {0};
    struct bp_samples samples;
    PyObject *result = NULL;

    if (bp_read_arguments(&bp_jacobian_signature, args, count, names, &given) < 0 ||
        bp_enter_with_samples(self, &samples, &given.samples) < 0)
        return NULL;
    const npy_intp shape[] = {(npy_intp)net->layers[net->count - 1].outputs,
                              (npy_intp)net->layers[0].inputs};
    PyArrayObject *out = bp_new_results(&samples, 2, shape, bp_type_number(net->kernels->dtype));
    if (out) {
        const enum bp_status status = bp_begin(self, &samples, BP_INPUT_GRADIENT);
        if (status == BP_OK)
            bp_jacobian(net, &self->ws, self->parameters.at, &samples.data, PyArray_DATA(out));
        result = end_with(self, out, status);
    }
    bp_leave_with_samples(self, &samples);
    return result;
}

/* What u^T J is for the samples: their derivatives are u. */
static PyObject *
vector_jacobian(Network *self, const struct bp_samples *samples)
{
    const struct bp_network *net = &self->net;
    const npy_intp inputs = (npy_intp)net->layers[0].inputs;
    PyArrayObject *out = bp_new_results(samples, 1, &inputs, bp_type_number(net->kernels->dtype));
    enum bp_status status;

    if (!out)
        return NULL;
    status = bp_begin(self, samples, BP_INPUT_GRADIENT);
    if (status == BP_OK)
        bp_vector_jacobian(net, &self->ws, self->parameters.at, &samples->data, PyArray_DATA(out));
    return end_with(self, out, status);
}

PyObject *
bp_network_vector_jacobian(PyObject *object, PyObject *const *args, Py_ssize_t count,
                           PyObject *names)
{
    Network *self = (Network *)object;
    struct given given = {0};
    struct bp_samples samples;
    PyObject *result = NULL;

    if (bp_read_arguments(&bp_vector_jacobian_signature, args, count, names, &given) < 0 ||
        bp_enter_with_samples(self, &samples, &given.samples) < 0)
        return NULL;
    if (bp_read_derivatives(&samples, &self->net, given.vector, "u") == 0)
        result = vector_jacobian(self, &samples);
    bp_leave_with_samples(self, &samples);
    return result;
}

/* J v for the samples. */
static PyObject *
jacobian_vector(Network *self, const struct bp_samples *samples, const struct bp_array *v)
{
    const struct bp_network *net = &self->net;
    const npy_intp outputs = (npy_intp)net->layers[net->count - 1].outputs;
    PyArrayObject *out = bp_new_results(samples, 1, &outputs, bp_type_number(net->kernels->dtype));
    struct bp_workspace moved = {0};
    enum bp_status status;

    if (!out)
        return NULL;
    status = bp_begin(self, samples, BP_KEEP_Z);
    if (status == BP_OK)
        status = bp_workspace_lay_out(&moved, net, bp_rows_together(net, samples->data.x.rows), 1, BP_KEEP_Z);
    if (status == BP_OK)
        bp_jacobian_vector(net, &self->ws, &moved, self->parameters.at, &samples->data, v,
                           PyArray_DATA(out));
    bp_workspace_free(&moved);
    return end_with(self, out, status);
}

PyObject *
bp_network_jacobian_vector(PyObject *object, PyObject *const *args, Py_ssize_t count,
                           PyObject *names)
{
    Network *self = (Network *)object;
    struct given given = {0};
    struct bp_samples samples;
    struct bp_array v;
    PyObject *result = NULL;

    if (bp_read_arguments(&bp_jacobian_vector_signature, args, count, names, &given) < 0 ||
        bp_enter_with_samples(self, &samples, &given.samples) < 0)
        return NULL;
    PyArrayObject *kept = bp_read_like_x(&samples, given.vector, "v", &v);
    if (kept)
        result = jacobian_vector(self, &samples, &v);
    Py_XDECREF(kept);
    bp_leave_with_samples(self, &samples);
    return result;
}
