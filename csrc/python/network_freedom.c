#include "network_freedom.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/network/freedom.h"
#include "network_object.h"

struct given {
    size_t layer;
    double lr, bias_lr;
    PyObject *mask;
};

static const struct bp_argument set_freedom_arguments[] = {
    {"layer", BP_ARG_SIZE, offsetof(struct given, layer), true, 0},
    {"lr", BP_ARG_REAL, offsetof(struct given, lr), true, 0},
    {"bias_lr", BP_ARG_REAL, offsetof(struct given, bias_lr), true, 0},
    {"mask", BP_ARG_OPTIONAL, offsetof(struct given, mask), false, 0},
};
const struct bp_signature bp_set_freedom_signature =
    BP_SIGNATURE("Network._set_freedom()", set_freedom_arguments, 0);

/* A copy of the mask, or NULL with an exception. */
static unsigned char *
copy_mask(const struct bp_layer *layer, PyObject *mask)
{
    PyArrayObject *array = (PyArrayObject *)mask;

    if (!PyArray_Check(mask) || PyArray_TYPE(array) != NPY_BOOL || !PyArray_IS_C_CONTIGUOUS(array) ||
        PyArray_NDIM(array) != 2 || (size_t)PyArray_DIM(array, 0) != layer->inputs ||
        (size_t)PyArray_DIM(array, 1) != layer->outputs) {
        PyErr_Format(PyExc_ValueError, "mask must be a contiguous array of bool, (%zu, %zu)",
                     layer->inputs, layer->outputs);
        return NULL;
    }
    const size_t count = layer->inputs * layer->outputs;
    unsigned char *copy = bp_allocate(count, 1);
    if (copy)
        memcpy(copy, PyArray_DATA(array), count);
    else
        PyErr_NoMemory();
    return copy;
}

PyObject *
bp_network_set_freedom(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    struct bp_network *net = &self->net;
    struct given given = {0};
    unsigned char *mask = NULL;

    if (bp_read_arguments(&bp_set_freedom_signature, args, count, names, &given) < 0 ||
        bp_enter(self) < 0)
        return NULL;
    if (given.layer >= net->count || !isfinite(given.lr + given.bias_lr))
        PyErr_SetString(PyExc_ValueError, "there is no such layer, or a factor is not finite");
    else if (!given.mask || (mask = copy_mask(&net->layers[given.layer], given.mask))) {
        struct bp_freedom *freedom = &net->layers[given.layer].freedom;
        bp_free(freedom->mask);
        *freedom = (struct bp_freedom){given.lr, given.bias_lr, mask};
        bp_note_freedom(net);
        bp_mask_vector(net, (struct bp_vector){self->parameters.at, false});
    }
    bp_leave(self);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}
