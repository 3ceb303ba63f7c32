#include "optimizer_type.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"

typedef struct bp_optimizer_object Optimizer;

/* Whether the settings ask for a state at all. */
static bool
has_state(const struct bp_optimizer *o)
{
    return !bp_is_plain(o);
}

/* A (parameters,) array of zeros with the room that kernels need behind it. */
static PyObject *
new_state(const struct bp_network *net)
{
    const npy_intp count = (npy_intp)net->parameters;
    void *memory = bp_allocate(bp_room(net) * net->kernels->size);
    if (!memory)
        return PyErr_NoMemory();
    return bp_array_on(memory, 1, &count,
                       net->kernels->dtype == BP_FLOAT32 ? NPY_FLOAT : NPY_DOUBLE);
}

struct bp_optimizer *
bp_optimizer_for(struct bp_module *module, PyObject *object, const struct bp_network *net)
{
    if (!PyObject_TypeCheck(object, module->optimizer_type) || !((Optimizer *)object)->ready) {
        PyErr_Format(PyExc_TypeError, "optimizer must be one of backprop's, such as SGD(0.1), not %R",
                     object);
        return NULL;
    }
    Optimizer *self = (Optimizer *)object;
    if (!has_state(&self->optimizer))
        return &self->optimizer;

    const int type = net->kernels->dtype == BP_FLOAT32 ? NPY_FLOAT : NPY_DOUBLE;
    PyArrayObject *old = (PyArrayObject *)self->state;
    if (old && (PyArray_DIM(old, 0) != (npy_intp)net->parameters || PyArray_TYPE(old) != type)) {
        PyErr_Format(PyExc_ValueError,
                     "this optimizer's state belongs to a network of %zd parameters of %S, but this "
                     "one has %zu of %s: make a new optimizer for it",
                     (Py_ssize_t)PyArray_DIM(old, 0), (PyObject *)PyArray_DESCR(old),
                     net->parameters, type == NPY_FLOAT ? "float32" : "float64");
        return NULL;
    }
    if (!old) {
        self->state = new_state(net);
        if (!self->state)
            return NULL;
    }
    self->optimizer.state = PyArray_DATA((PyArrayObject *)self->state);
    return &self->optimizer;
}

static PyObject *
optimizer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args;
    (void)keywords;
    return type->tp_alloc(type, 0);
}

static int
optimizer_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Optimizer *)self)->state);
    return 0;
}

static int
optimizer_clear(PyObject *self)
{
    Py_CLEAR(((Optimizer *)self)->state);
    return 0;
}

static void
optimizer_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)optimizer_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
optimizer_setup(PyObject *object, PyObject *args)
{
    Optimizer *self = (Optimizer *)object;
    const char *kind;
    double momentum, nesterov, decay;

    if (!PyArg_ParseTuple(args, "s(ddd)", &kind, &momentum, &nesterov, &decay))
        return NULL;
    if (strcmp(kind, "sgd") != 0) {
        PyErr_Format(PyExc_ValueError, "unknown optimizer %s", kind);
        return NULL;
    }
    self->optimizer.rule = BP_SGD;
    self->optimizer.momentum = momentum;
    self->optimizer.nesterov = nesterov != 0;
    self->optimizer.decay = decay;
    self->ready = true;
    Py_RETURN_NONE;
}

static PyObject *
optimizer_set_state(PyObject *object, PyObject *states)
{
    Optimizer *self = (Optimizer *)object;

    if (!PyTuple_Check(states) || PyTuple_GET_SIZE(states) > 1) {
        PyErr_SetString(PyExc_TypeError, "state must be a tuple of at most one array");
        return NULL;
    }
    if (PyTuple_GET_SIZE(states) == 0) {
        Py_CLEAR(self->state);
        Py_RETURN_NONE;
    }
    PyObject *given = PyTuple_GET_ITEM(states, 0);
    if (!PyArray_Check(given) || PyArray_NDIM((PyArrayObject *)given) != 1 ||
        (PyArray_TYPE((PyArrayObject *)given) != NPY_FLOAT &&
         PyArray_TYPE((PyArrayObject *)given) != NPY_DOUBLE)) {
        PyErr_SetString(PyExc_TypeError, "state must be a 1-D array of float32 or float64");
        return NULL;
    }
    /* a copy with a panel's room behind it, as kernels need */
    PyArrayObject *array = (PyArrayObject *)given;
    const npy_intp count = PyArray_DIM(array, 0);
    void *memory = bp_allocate((size_t)count * (size_t)PyArray_ITEMSIZE(array) + BP_PANEL_BYTES);
    if (!memory)
        return PyErr_NoMemory();
    PyObject *copy = bp_array_on(memory, 1, &count, PyArray_TYPE(array));
    if (!copy || PyArray_CopyInto((PyArrayObject *)copy, array) < 0) {
        Py_XDECREF(copy);
        return NULL;
    }
    Py_XSETREF(self->state, copy);
    Py_RETURN_NONE;
}

static PyObject *
optimizer_get_state(PyObject *object, void *closure)
{
    Optimizer *self = (Optimizer *)object;
    (void)closure;
    return self->state ? PyTuple_Pack(1, self->state) : PyTuple_New(0);
}

static PyObject *
optimizer_get_lr(PyObject *self, void *closure)
{
    (void)closure;
    return PyFloat_FromDouble(((Optimizer *)self)->optimizer.rate);
}

static int
optimizer_set_lr(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    const double rate = value ? PyFloat_AsDouble(value) : -1;
    if (rate == -1 && PyErr_Occurred())
        return -1;
    if (!(rate > 0 && isfinite(rate))) {
        PyErr_Format(PyExc_ValueError, "lr must be a finite number above 0, but is %R",
                     value ? value : Py_None);
        return -1;
    }
    ((Optimizer *)self)->optimizer.rate = rate;
    return 0;
}

static PyObject *
optimizer_get_steps(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(((Optimizer *)self)->optimizer.steps);
}

static int
optimizer_set_steps(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    const unsigned long long steps =
        value ? PyLong_AsUnsignedLongLong(value) : (unsigned long long)-1;
    if (PyErr_Occurred())
        return -1;
    if (!value) {
        PyErr_SetString(PyExc_AttributeError, "steps can't be deleted");
        return -1;
    }
    ((Optimizer *)self)->optimizer.steps = steps;
    return 0;
}

static PyMethodDef optimizer_methods[] = {
    {"_setup", optimizer_setup, METH_VARARGS, NULL},
    {"_set_state", optimizer_set_state, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef optimizer_getset[] = {
    {"lr", optimizer_get_lr, optimizer_set_lr, "The learning rate, a number above 0.", NULL},
    {"steps", optimizer_get_steps, optimizer_set_steps, "Steps done so far.", NULL},
    {"state", optimizer_get_state, NULL,
     "A tuple of what the rule remembers, each (parameters,) in the order of\n"
     "``Network.parameters``; empty before the first step and for plain SGD.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot optimizer_slots[] = {
    {Py_tp_doc, "Base class of the optimizers."},
    {Py_tp_new, optimizer_new},
    {Py_tp_dealloc, optimizer_dealloc},
    {Py_tp_traverse, optimizer_traverse},
    {Py_tp_clear, optimizer_clear},
    {Py_tp_methods, optimizer_methods},
    {Py_tp_getset, optimizer_getset},
    {0, NULL},
};

PyType_Spec bp_optimizer_spec = {
    .name = "backprop._core.Optimizer",
    .basicsize = sizeof(Optimizer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = optimizer_slots,
};
