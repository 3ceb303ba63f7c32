#include "core/population/population_outputs.h"
#include "member_samples.h"
#include "member_vectors.h"
#include "network_object.h"
#include "population_methods.h"

/* what the methods here are given, as far as they take it */
struct given {
    PyObject *parameters;
    struct bp_given_member_samples samples;
    size_t threads;
};

#define GIVEN(field) offsetof(struct given, field)

static const struct bp_argument outputs_arguments[] = {
    {"parameters", BP_ARG_OBJECT, GIVEN(parameters), true, 0},
    BP_MEMBER_X(GIVEN(samples)),
    {"threads", BP_ARG_SIZE, GIVEN(threads), false, 1},
};
const struct bp_signature bp_population_outputs_signature =
    BP_SIGNATURE("Network._population_outputs()", outputs_arguments, 0);

static const struct bp_argument scores_arguments[] = {
    {"parameters", BP_ARG_OBJECT, GIVEN(parameters), true, 0},
    BP_MEMBER_X(GIVEN(samples)),
    BP_MEMBER_Y(GIVEN(samples)),
    BP_MEMBER_BESIDE(GIVEN(samples)),
    {"threads", BP_ARG_SIZE, GIVEN(threads), false, 1},
};
const struct bp_signature bp_population_scores_signature =
    BP_SIGNATURE("Network._population_scores()", scores_arguments, 0);

/* one call of a method */
struct call {
    struct given given;
    struct bp_gil gil;
    struct bp_member_samples samples;
};

/* Asks all members, once all is read. */
static int
ask_members(struct call *call, Network *self, struct bp_members_asked *asked)
{
    asked->net = &self->net;
    asked->data = bp_member_data_of(&call->samples);
    asked->threads =
        self->customs && self->customs->python ? 1 : call->given.threads;
    asked->poll = (struct bp_poll){bp_poll_signals, &call->gil};
    bp_give_up_gil(&call->gil);
    const enum bp_status status = bp_ask_members(asked);
    bp_take_gil(&call->gil);
    if (status == BP_OK)
        return 0;
    (void)bp_raise(status);
    return -1;
}

/* Reads parameters and samples; 0, or -1 with an exception and all to be released all the same. */
static int
read_asked(struct call *call, const Network *self, struct bp_members_asked *asked)
{
    asked->parameters =
        bp_read_parameters(call->given.parameters, &self->net, &asked->members);
    if (!asked->parameters)
        return -1;
    return bp_read_member_samples(&call->samples, &self->net, asked->members, &call->given.samples,
                                  "");
}

PyObject *
bp_network_population_outputs(PyObject *object, PyObject *const *args, Py_ssize_t count,
                              PyObject *names)
{
    Network *self = (Network *)object;
    struct call call = {.given = {.threads = 1}};
    struct bp_members_asked asked = {0};
    PyArrayObject *array = NULL;

    if (bp_read_arguments(&bp_population_outputs_signature, args, count, names, &call.given) < 0 ||
        bp_enter(self) < 0)
        return NULL;
    if (read_asked(&call, self, &asked) == 0) {
        const struct bp_samples *first = &call.samples.held[0];
        const npy_intp outputs = (npy_intp)self->net.layers[self->net.count - 1].outputs;
        const npy_intp shape[] = {(npy_intp)asked.members, (npy_intp)first->data.x.rows, outputs};
        const npy_intp single[] = {(npy_intp)asked.members, outputs};
        array = (PyArrayObject *)PyArray_SimpleNew(first->single ? 2 : 3,
                                                   first->single ? single : shape,
                                                   bp_type_number(self->net.kernels->dtype));
        asked.outputs = array ? PyArray_DATA(array) : NULL;
        if (array && ask_members(&call, self, &asked) < 0)
            Py_CLEAR(array);
    }
    bp_release_member_samples(&call.samples);
    bp_leave(self);
    return (PyObject *)array;
}

PyObject *
bp_network_population_scores(PyObject *object, PyObject *const *args, Py_ssize_t count,
                             PyObject *names)
{
    Network *self = (Network *)object;
    struct call call = {.given = {.threads = 1}};
    struct bp_members_asked asked = {0};
    PyObject *losses = NULL, *right = NULL, *result = NULL;

    if (bp_read_arguments(&bp_population_scores_signature, args, count, names, &call.given) < 0 ||
        bp_enter(self) < 0)
        return NULL;
    if (read_asked(&call, self, &asked) == 0) {
        const npy_intp members = (npy_intp)asked.members;
        losses = PyArray_SimpleNew(1, &members, NPY_DOUBLE);
        right = losses ? PyArray_SimpleNew(1, &members, NPY_DOUBLE) : NULL;
        if (right) {
            asked.losses = PyArray_DATA((PyArrayObject *)losses);
            asked.right = PyArray_DATA((PyArrayObject *)right);
            if (ask_members(&call, self, &asked) == 0)
                result = PyTuple_Pack(2, losses, right);
        }
    }
    Py_XDECREF(losses);
    Py_XDECREF(right);
    bp_release_member_samples(&call.samples);
    bp_leave(self);
    return result;
}
