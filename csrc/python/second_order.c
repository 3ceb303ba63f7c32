/* second_order.c: Network._jacobian and Network._hessian_vector. */
#include "network_type.h"

#include <string.h>

#include "core/network/functions.h"
#include "core/base/memory.h"
#include "core/evaluate/second_order.h"

/* Samples at a time. */
enum { ROWS_AT_A_TIME = 128 };

static size_t
rows_of(const struct bp_samples *samples)
{
    const size_t rows = samples->data.x.rows;
    return rows < ROWS_AT_A_TIME ? rows : ROWS_AT_A_TIME;
}

PyObject *
bp_network_jacobian(PyObject *object, PyObject *x)
{
    Network *self = (Network *)object;
    struct bp_samples samples;
    PyArrayObject *out = NULL;
    enum bp_status status;

    if (bp_enter(self) < 0)
        return NULL;
    if (bp_read_samples(&samples, &self->net, x, NULL, "x", "y") < 0) {
        bp_leave(self);
        return NULL;
    }
    const struct bp_network *net = &self->net;
    const npy_intp shape[] = {(npy_intp)samples.data.x.rows,
                              (npy_intp)net->layers[net->count - 1].outputs,
                              (npy_intp)net->layers[0].inputs};
    out = (PyArrayObject *)PyArray_SimpleNew(samples.single ? 2 : 3,
                                             samples.single ? shape + 1 : shape,
                                             bp_type_number(net->kernels->dtype));
    if (out) {
        Py_BEGIN_ALLOW_THREADS
        status = bp_workspace_lay_out(&self->ws, net, rows_of(&samples), 1, BP_INPUT_GRADIENT);
        if (status == BP_OK)
            bp_jacobian(net, &self->ws, bp_parameters_of(self), &samples.data, PyArray_DATA(out));
        if (status == BP_OK && bp_failed(net))
            status = BP_FAILED;
        Py_END_ALLOW_THREADS
        if (status != BP_OK) {
            bp_raise(status);
            Py_CLEAR(out);
        }
    }
    bp_release_samples(&samples);
    bp_leave(self);
    return (PyObject *)out;
}

/* _hessian_vector(x, y, direction): direction a contiguous (parameters,) array of the dtype */
PyObject *
bp_network_hessian_vector(PyObject *object, PyObject *args)
{
    Network *self = (Network *)object;
    PyObject *x, *y, *result = NULL;
    PyArrayObject *direction;
    struct bp_samples samples;
    struct bp_workspace moved = {0};
    bp_real *along = NULL, *product = NULL;
    enum bp_status status;

    if (!PyArg_ParseTuple(args, "OOO!", &x, &y, &PyArray_Type, &direction) || bp_enter(self) < 0)
        return NULL;
    const struct bp_network *net = &self->net;
    const int type = bp_type_number(net->kernels->dtype);
    const npy_intp count = (npy_intp)net->parameters;
    if (bp_read_samples(&samples, net, x, y, "x", "y") < 0) {
        bp_leave(self);
        return NULL;
    }
    if (net->custom) {
        PyErr_SetString(PyExc_ValueError, "the Hessian needs second derivatives, which a custom "
                                          "activation or loss does not have");
        goto done;
    }
    if (PyArray_TYPE(direction) != type || PyArray_SIZE(direction) != count ||
        !PyArray_ISCARRAY_RO(direction)) {
        PyErr_Format(PyExc_ValueError, "the direction must be a contiguous array of %zd numbers",
                     (Py_ssize_t)count);
        goto done;
    }
    along = bp_allocate(bp_room(net), net->kernels->size);
    product = bp_allocate(bp_room(net), net->kernels->size);
    if (!along || !product) {
        PyErr_NoMemory();
        goto done;
    }
    memcpy(along, PyArray_DATA(direction), net->parameters * net->kernels->size);
    Py_BEGIN_ALLOW_THREADS
    status = bp_workspace_lay_out(&self->ws, net, rows_of(&samples), 1, BP_KEEP_Z);
    if (status == BP_OK)
        status = bp_workspace_lay_out(&moved, net, rows_of(&samples), 1, BP_KEEP_Z);
    if (status == BP_OK)
        bp_hessian_vector(net, &self->ws, &moved, bp_parameters_of(self), &samples.data, along,
                          product);
    bp_workspace_free(&moved);
    Py_END_ALLOW_THREADS
    if (status != BP_OK)
        bp_raise(status);
    else {
        result = bp_array_on(product, 1, &count, type);
        product = NULL;
    }
done:
    bp_free(along);
    bp_free(product);
    bp_release_samples(&samples);
    bp_leave(self);
    return result;
}
