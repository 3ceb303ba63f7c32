#include "optimizer_type.h"

#include <math.h>

#include "core/base/memory.h"
#include "numbers.h"

typedef struct {
    PyObject_HEAD
    struct bp_optimizer optimizer;       /* without its states */
    bool ready;                          /* _setup has been called */
    size_t members;                      /* of the population that it is of; 0: it is of a network */
    struct bp_numbers states[BP_STATES]; /* none before the first step */
    PyObject *schedule;                  /* a callable from the step to the rate, or NULL */
} Optimizer;

static void
release_states(struct bp_numbers states[BP_STATES])
{
    for (size_t s = 0; s < BP_STATES; s++)
        bp_release_numbers(&states[s]);
}

/* The states of self, made now if there are none; -1 where they do not fit the network. */
static int
ready_states(Optimizer *self, const struct bp_network *net)
{
    const size_t count = bp_state_count(&self->optimizer);
    const enum bp_dtype dtype = net->kernels->dtype;
    struct bp_numbers fresh[BP_STATES] = {{0}};

    for (size_t s = 0; s < count; s++) {
        const struct bp_numbers *old = &self->states[s];
        if (old->owner && (old->count != net->parameters || old->dtype != dtype)) {
            PyErr_Format(PyExc_ValueError,
                         "this optimizer's state belongs to a network of %zu parameters of %s, but "
                         "this one has %zu of %s: make a new optimizer for it",
                         old->count, bp_dtype_names[old->dtype], net->parameters,
                         bp_dtype_names[dtype]);
            return -1;
        }
        if (!old->owner && bp_new_numbers(&fresh[s], net->parameters, dtype) < 0) {
            release_states(fresh);
            return -1;
        }
    }
    for (size_t s = 0; s < count; s++)
        if (fresh[s].owner)
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
    if (self->members) {
        PyErr_Format(PyExc_ValueError,
                     "this optimizer is of a population of %zu members: make a new one for a network, or "
                     "take optimizer.of_member(i)",
                     self->members);
        return -1;
    }
    const double rate = next_rate(self); /* first: a schedule may do anything, with self too */
    if (rate < 0 || check_epsilon(&self->optimizer, net) < 0 || ready_states(self, net) < 0)
        return -1;
    *held = (struct bp_held_optimizer){.optimizer = self->optimizer};
    held->optimizer.rate = rate;
    for (size_t s = 0; s < bp_state_count(&self->optimizer); s++) {
        held->owners[s] = Py_NewRef(self->states[s].owner);
        held->optimizer.state[s] = self->states[s].at;
    }
    return 0;
}

void
bp_release_optimizer(struct bp_held_optimizer *held)
{
    for (size_t s = 0; s < BP_STATES; s++)
        Py_CLEAR(held->owners[s]);
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
        Py_VISIT(((Optimizer *)self)->states[s].owner);
    Py_VISIT(((Optimizer *)self)->schedule);
    return 0;
}

static int
optimizer_clear(PyObject *self)
{
    release_states(((Optimizer *)self)->states);
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

struct given {
    const char *kind;
    size_t members;
    struct bp_optimizer settings;
};

#define SETTING(field) offsetof(struct given, settings.field)

static const struct bp_argument setup_arguments[] = {
    {"kind", BP_ARG_TEXT, offsetof(struct given, kind), true, 0},
    {"momentum", BP_ARG_REAL, SETTING(momentum), false, 0},
    {"nesterov", BP_ARG_FLAG, SETTING(nesterov), false, 0},
    {"lazy", BP_ARG_FLAG, SETTING(lazy), false, 0},
    {"weight_decay", BP_ARG_REAL, SETTING(decay), false, 0},
    {"beta_1", BP_ARG_REAL, SETTING(beta_1), false, 0},
    {"beta_2", BP_ARG_REAL, SETTING(beta_2), false, 0},
    {"epsilon", BP_ARG_REAL, SETTING(epsilon), false, 0},
    {"clip_norm", BP_ARG_REAL, SETTING(clip_norm), false, 0},
    {"clip_value", BP_ARG_REAL, SETTING(clip_value), false, 0},
    {"members", BP_ARG_SIZE, offsetof(struct given, members), false, 0},
};
const struct bp_signature bp_optimizer_setup_signature =
    BP_SIGNATURE("Optimizer._setup()", setup_arguments, 1);

/* A second time makes it as new: states belong to the rule that made them. */
static PyObject *
optimizer_setup(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Optimizer *self = (Optimizer *)object;
    struct given given = {.settings = {.clip_norm = INFINITY, .clip_value = INFINITY}};

    if (bp_read_arguments(&bp_optimizer_setup_signature, args, count, names, &given) < 0)
        return NULL;
    const int rule = bp_find_name(bp_rule_names, given.kind, "optimizer");
    if (rule < 0)
        return NULL;
    given.settings.rule = (enum bp_rule)rule;
    given.settings.rate = self->optimizer.rate;
    self->optimizer = given.settings;
    self->ready = true;
    self->members = given.members;
    release_states(self->states);
    Py_RETURN_NONE;
}

/* Copies a 1-D array of float32 or float64. */
static int
copy_state(PyObject *given, struct bp_numbers *copy)
{
    PyArrayObject *array = (PyArrayObject *)given;

    if (!PyArray_Check(given) || PyArray_NDIM(array) != 1 ||
        (PyArray_TYPE(array) != NPY_FLOAT && PyArray_TYPE(array) != NPY_DOUBLE)) {
        PyErr_SetString(PyExc_TypeError, "each state must be a 1-D array of float32 or float64");
        return -1;
    }
    if (bp_new_numbers(copy, (size_t)PyArray_DIM(array, 0),
                       PyArray_TYPE(array) == NPY_FLOAT ? BP_FLOAT32 : BP_FLOAT64) < 0)
        return -1;
    PyObject *numbers = bp_array_of_numbers(copy);
    const int copied = numbers ? PyArray_CopyInto((PyArrayObject *)numbers, array) : -1;
    Py_XDECREF(numbers);
    return copied;
}

static PyObject *
optimizer_set_state(PyObject *object, PyObject *states)
{
    Optimizer *self = (Optimizer *)object;
    const size_t wanted = self->ready ? bp_state_count(&self->optimizer) : 0;
    struct bp_numbers copies[BP_STATES] = {{0}};

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
    for (size_t s = 0; s < given; s++)
        if (copy_state(PyTuple_GET_ITEM(states, (Py_ssize_t)s), &copies[s]) < 0) {
            release_states(copies);
            return NULL;
        }
    release_states(self->states);
    memcpy(self->states, copies, sizeof(copies));
    Py_RETURN_NONE;
}

static PyObject *
optimizer_get_state(PyObject *object, void *closure)
{
    const Optimizer *self = (Optimizer *)object;
    Py_ssize_t count = 0;
    (void)closure;

    while (count < BP_STATES && self->states[count].owner)
        count++;
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t s = 0; tuple && s < count; s++) {
        PyObject *array = bp_array_of_numbers(&self->states[s]);
        if (!array) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, s, array);
    }
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
    {"_setup", BP_FAST(optimizer_setup), NULL},
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
