#include "optimizer_type.h"

#include <math.h>

#include "arrays.h"
#include "core/base/memory.h"

typedef struct {
    PyObject_HEAD
    struct bp_optimizer optimizer; /* its states lie in the arrays */
    bool ready;                    /* _setup has been called */
    PyObject *states[BP_STATES];   /* (parameters,) arrays, all NULL before the first step */
    PyObject *schedule;            /* a callable from the step to the rate, or NULL */
} Optimizer;

/* A (parameters,) array of zeros with the room that kernels need behind it. */
static PyObject *
new_state(const struct bp_network *net)
{
    const npy_intp count = (npy_intp)net->parameters;
    void *memory = bp_allocate(bp_room(net), net->kernels->size);
    if (!memory)
        return bp_raise(BP_NO_MEMORY);
    return bp_array_on(memory, 1, &count, bp_type_number(net->kernels->dtype));
}

/* The states of self, made now if there are none; -1 where they do not fit the network. */
static int
ready_states(Optimizer *self, const struct bp_network *net)
{
    const size_t count = bp_state_count(&self->optimizer);
    const int type = bp_type_number(net->kernels->dtype);
    PyObject *fresh[BP_STATES] = {NULL};

    for (size_t s = 0; s < count; s++) {
        PyArrayObject *old = (PyArrayObject *)self->states[s];
        if (!old) {
            fresh[s] = new_state(net);
            if (!fresh[s]) {
                Py_XDECREF(fresh[0]);
                return -1;
            }
            continue;
        }
        if (PyArray_DIM(old, 0) != (npy_intp)net->parameters || PyArray_TYPE(old) != type) {
            PyErr_Format(PyExc_ValueError,
                         "this optimizer's state belongs to a network of %zd parameters of %S, but "
                         "this one has %zu of %s: make a new optimizer for it",
                         (Py_ssize_t)PyArray_DIM(old, 0), (PyObject *)PyArray_DESCR(old),
                         net->parameters, type == NPY_FLOAT ? "float32" : "float64");
            return -1;
        }
    }
    for (size_t s = 0; s < count; s++)
        if (fresh[s])
            self->states[s] = fresh[s];
    return 0;
}

/* -1 where epsilon vanishes in the network's dtype: a gradient of 0 would then be divided by 0. */
static int
check_epsilon(const struct bp_optimizer *o, const struct bp_network *net)
{
    if (o->rule == BP_SGD || net->kernels->dtype == BP_FLOAT64 || (float)o->epsilon > 0)
        return 0;
    PyObject *epsilon = PyFloat_FromDouble(o->epsilon);
    if (epsilon)
        PyErr_Format(PyExc_ValueError,
                     "eps must be greater than 0 in float32, the network's dtype, got %R", epsilon);
    Py_XDECREF(epsilon);
    return -1;
}

/* The rate of the next step: finite and not negative; -1 with an exception. */
static double
next_rate(const Optimizer *self)
{
    if (!self->schedule)
        return self->optimizer.rate;
    PyObject *step = PyLong_FromUnsignedLongLong(self->optimizer.steps);
    PyObject *schedule = Py_NewRef(self->schedule);
    PyObject *value = step ? PyObject_CallOneArg(schedule, step) : NULL;
    double rate = value ? PyFloat_AsDouble(value) : -1;

    if (value && !PyErr_Occurred() && !(rate >= 0 && isfinite(rate))) {
        PyErr_Format(PyExc_ValueError,
                     "a schedule must return finite rates of at least 0, but gave %R for step %S",
                     value, step);
        rate = -1;
    }
    Py_DECREF(schedule);
    Py_XDECREF(step);
    Py_XDECREF(value);
    return PyErr_Occurred() ? -1 : rate;
}

const struct bp_optimizer *
bp_optimizer_settings(const struct bp_module *module, PyObject *object)
{
    if (PyObject_TypeCheck(object, module->optimizer_type) && ((Optimizer *)object)->ready)
        return &((Optimizer *)object)->optimizer;
    PyErr_Format(PyExc_TypeError, "optimizer must be one of backprop's, such as SGD(0.1), not %R",
                 object);
    return NULL;
}

int
bp_hold_optimizer(struct bp_held_optimizer *held, struct bp_module *module, PyObject *object,
                  const struct bp_network *net)
{
    if (!bp_optimizer_settings(module, object))
        return -1;
    Optimizer *self = (Optimizer *)object;
    if (check_epsilon(&self->optimizer, net) < 0)
        return -1;
    const double rate = next_rate(self);
    if (rate < 0 || ready_states(self, net) < 0)
        return -1;
    held->optimizer = self->optimizer;
    held->optimizer.rate = rate;
    for (size_t s = 0; s < BP_STATES; s++) {
        held->states[s] = Py_XNewRef(self->states[s]);
        held->optimizer.state[s] =
            held->states[s] ? PyArray_DATA((PyArrayObject *)held->states[s]) : NULL;
    }
    return 0;
}

void
bp_release_optimizer(struct bp_held_optimizer *held)
{
    for (size_t s = 0; s < BP_STATES; s++)
        Py_CLEAR(held->states[s]);
}

void
bp_set_steps(PyObject *object, uint64_t steps)
{
    ((Optimizer *)object)->optimizer.steps = steps;
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
    for (size_t s = 0; s < BP_STATES; s++)
        Py_VISIT(((Optimizer *)self)->states[s]);
    Py_VISIT(((Optimizer *)self)->schedule);
    return 0;
}

static int
optimizer_clear(PyObject *self)
{
    for (size_t s = 0; s < BP_STATES; s++)
        Py_CLEAR(((Optimizer *)self)->states[s]);
    Py_CLEAR(((Optimizer *)self)->schedule);
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
optimizer_setup(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"kind",   "momentum", "nesterov",  "weight_decay", "beta_1",
                            "beta_2", "epsilon",  "clip_norm", "clip_value",   NULL};
    Optimizer *self = (Optimizer *)object;
    struct bp_optimizer *o = &self->optimizer;
    struct bp_optimizer next = {
        .rate = o->rate, .steps = o->steps, .clip_norm = INFINITY, .clip_value = INFINITY};
    const char *kind;
    int nesterov = 0;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|$dpdddddd:_setup", names, &kind,
                                     &next.momentum, &nesterov, &next.decay, &next.beta_1,
                                     &next.beta_2, &next.epsilon, &next.clip_norm,
                                     &next.clip_value))
        return NULL;
    const int rule = bp_find_name(bp_rule_names, kind, "optimizer");
    if (rule < 0)
        return NULL;
    next.rule = (enum bp_rule)rule;
    next.nesterov = nesterov;
    *o = next;
    self->ready = true;
    Py_RETURN_NONE;
}

/* A copy of a 1-D array of float32 or float64 with the room that kernels need behind it. */
static PyObject *
copy_state(PyObject *given)
{
    if (!PyArray_Check(given) || PyArray_NDIM((PyArrayObject *)given) != 1 ||
        (PyArray_TYPE((PyArrayObject *)given) != NPY_FLOAT &&
         PyArray_TYPE((PyArrayObject *)given) != NPY_DOUBLE)) {
        PyErr_SetString(PyExc_TypeError, "each state must be a 1-D array of float32 or float64");
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)given;
    const npy_intp count = PyArray_DIM(array, 0);
    const size_t size = (size_t)PyArray_ITEMSIZE(array);
    void *memory = bp_allocate(bp_size_sum((size_t)count, BP_PANEL_BYTES / size), size);
    if (!memory)
        return bp_raise(BP_NO_MEMORY);
    PyObject *copy = bp_array_on(memory, 1, &count, PyArray_TYPE(array));
    if (copy && PyArray_CopyInto((PyArrayObject *)copy, array) < 0)
        Py_CLEAR(copy);
    return copy;
}

static PyObject *
optimizer_set_state(PyObject *object, PyObject *states)
{
    Optimizer *self = (Optimizer *)object;
    const size_t wanted = self->ready ? bp_state_count(&self->optimizer) : 0;
    PyObject *copies[BP_STATES] = {NULL};

    if (!PyTuple_Check(states)) {
        PyErr_SetString(PyExc_TypeError, "state must be a tuple of arrays");
        return NULL;
    }
    const size_t given = (size_t)PyTuple_GET_SIZE(states);
    if (given != 0 && given != wanted) {
        PyErr_Format(PyExc_ValueError, "state must be a tuple of %zu arrays, or of none, not %zu",
                     wanted, given);
        return NULL;
    }
    for (size_t s = 0; s < given; s++) {
        copies[s] = copy_state(PyTuple_GET_ITEM(states, (Py_ssize_t)s));
        if (!copies[s]) {
            Py_XDECREF(copies[0]);
            return NULL;
        }
    }
    for (size_t s = 0; s < BP_STATES; s++)
        Py_XSETREF(self->states[s], copies[s]);
    Py_RETURN_NONE;
}

static PyObject *
optimizer_get_state(PyObject *object, void *closure)
{
    Optimizer *self = (Optimizer *)object;
    Py_ssize_t count = 0;
    (void)closure;

    while (count < BP_STATES && self->states[count])
        count++;
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t s = 0; tuple && s < count; s++)
        PyTuple_SET_ITEM(tuple, s, Py_NewRef(self->states[s]));
    return tuple;
}

static PyObject *
optimizer_get_lr(PyObject *object, void *closure)
{
    const Optimizer *self = (Optimizer *)object;
    (void)closure;
    return self->schedule ? Py_NewRef(self->schedule) : PyFloat_FromDouble(self->optimizer.rate);
}

static int
optimizer_set_lr(PyObject *object, PyObject *value, void *closure)
{
    Optimizer *self = (Optimizer *)object;
    (void)closure;
    if (value && PyCallable_Check(value)) {
        Py_XSETREF(self->schedule, Py_NewRef(value));
        return 0;
    }
    const double rate = value ? PyFloat_AsDouble(value) : -1;
    if (rate == -1 && PyErr_Occurred())
        return -1;
    if (!(rate > 0 && isfinite(rate))) {
        PyErr_Format(PyExc_ValueError, "lr must be a finite number above 0, or a schedule, but is %R",
                     value ? value : Py_None);
        return -1;
    }
    Py_CLEAR(self->schedule);
    self->optimizer.rate = rate;
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
    {"_setup", _PyCFunction_CAST(optimizer_setup), METH_VARARGS | METH_KEYWORDS, NULL},
    {"_set_state", optimizer_set_state, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef optimizer_getset[] = {
    {"lr", optimizer_get_lr, optimizer_set_lr, "The learning rate: a number above 0, or a schedule.", NULL},
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
