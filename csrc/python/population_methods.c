#include "population_methods.h"

#include "core/base/memory.h"
#include "core/population/train_population.h"
#include "generator.h"
#include "member_ends.h"
#include "member_samples.h"
#include "member_vectors.h"
#include "network_object.h"
#include "optimizer_type.h"

/* what _train_population is given */
struct given {
    struct bp_given_member_samples samples;
    struct {
        PyObject *tuple;
        bool own;
    } validation;
    struct {
        PyObject *parameters, *states, *steps, *active;
    } members;
    struct {
        PyObject *object, *numbers, *rates, *penalties;
    } optimizer;
    PyObject *chosen, *bit_generators, *record, *patience, *monitor;
    bool alike;
    const char *way;
    struct bp_settings settings;
};

#define GIVEN(field) offsetof(struct given, field)
static const struct bp_argument train_arguments[] = {
    {"parameters", BP_ARG_OBJECT, GIVEN(members.parameters), true, 0},
    {"states", BP_ARG_OBJECT, GIVEN(members.states), true, 0},
    {"steps", BP_ARG_OBJECT, GIVEN(members.steps), true, 0},
    {"active", BP_ARG_OBJECT, GIVEN(members.active), true, 0},
    {"optimizer", BP_ARG_OBJECT, GIVEN(optimizer.object), true, 0},
    BP_MEMBER_X(GIVEN(samples)),
    BP_MEMBER_Y(GIVEN(samples)),
    {"epochs", BP_ARG_SIZE, GIVEN(settings.epochs), true, 1},
    {"batch_size", BP_ARG_SIZE, GIVEN(settings.batch), true, 1},
    {"record", BP_ARG_OBJECT, GIVEN(record), true, 0},
    {"numbers", BP_ARG_OPTIONAL, GIVEN(optimizer.numbers), false, 0},
    {"rates", BP_ARG_OPTIONAL, GIVEN(optimizer.rates), false, 0},
    {"penalties", BP_ARG_OPTIONAL, GIVEN(optimizer.penalties), false, 0},
    {"samples", BP_ARG_OPTIONAL, GIVEN(chosen), false, 0},
    BP_MEMBER_BESIDE(GIVEN(samples)),
    {"validation", BP_ARG_OPTIONAL, GIVEN(validation.tuple), false, 0},
    {"own_validation", BP_ARG_FLAG, GIVEN(validation.own), false, 0},
    {"bit_generators", BP_ARG_OPTIONAL, GIVEN(bit_generators), false, 0},
    {"alike", BP_ARG_FLAG, GIVEN(alike), false, 0},
    {"shuffle", BP_ARG_FLAG, GIVEN(settings.shuffle), false, 0},
    {"norms", BP_ARG_FLAG, GIVEN(settings.norms), false, 0},
    {"patience", BP_ARG_OPTIONAL, GIVEN(patience), false, 0},
    {"monitor", BP_ARG_OPTIONAL, GIVEN(monitor), false, 0},
    {"threads", BP_ARG_SIZE, GIVEN(settings.threads), false, 1},
    {"way", BP_ARG_TEXT, GIVEN(way), false, 0},
};
const struct bp_signature bp_train_population_signature =
    BP_SIGNATURE("Network._train_population()", train_arguments, 0);

/* one call of _train_population */
struct call {
    struct given given;
    struct bp_gil gil;
    struct bp_member_samples samples, held_out;
    struct bp_held_generator *generators;
    struct bp_random *random;
    size_t generator_count;
    PyObject *listed; /* the generators, or NULL */
    struct bp_population population;
};

/* Whether a member's optimizer makes sense, and needs no more vectors than there are. */
static int
check_optimizers(const struct bp_population *p, size_t states)
{
    struct bp_optimizer o = p->optimizer;
    size_t most = 0;

    for (size_t i = 0; i < (p->numbers ? p->members.count : 1); i++) {
        if (p->numbers)
            o.momentum = p->numbers[i * BP_MEMBER_NUMBERS + BP_MEMBER_MOMENTUM];
        const size_t needed = bp_state_count(&o);
        most = needed > most ? needed : most;
    }
    if (most == states)
        return 0;
    PyErr_Format(PyExc_ValueError, "states must be a tuple of %zu arrays, not %zu", most, states);
    return -1;
}

static int
read_members(struct call *call, const Network *self)
{
    const struct given *given = &call->given;
    const struct bp_network *net = &self->net;
    struct bp_members *m = &call->population.members;

    m->parameters = bp_read_parameters(given->members.parameters, net, &m->count);
    if (!m->parameters)
        return -1;
    m->steps = bp_memory_of(given->members.steps, "steps", NPY_UINT64, m->count);
    m->active = m->steps ? bp_memory_of(given->members.active, "active", NPY_BOOL, m->count) : NULL;
    if (!m->active)
        return -1;
    if (!PyTuple_Check(given->members.states) ||
        PyTuple_GET_SIZE(given->members.states) > BP_STATES) {
        PyErr_SetString(PyExc_TypeError, "states must be a tuple of at most two arrays");
        return -1;
    }
    for (Py_ssize_t s = 0; s < PyTuple_GET_SIZE(given->members.states); s++) {
        m->state[s] = bp_memory_of(PyTuple_GET_ITEM(given->members.states, s), "each of states",
                                bp_type_number(net->kernels->dtype), m->count * net->parameters);
        if (!m->state[s])
            return -1;
    }
    return 0;
}

static int
read_optimizers(struct call *call, const Network *self)
{
    const struct given *given = &call->given;
    struct bp_population *p = &call->population;
    const struct bp_optimizer *settings =
        bp_optimizer_settings(self->module, given->optimizer.object);

    if (!settings)
        return -1;
    p->optimizer = *settings;
    if (given->optimizer.numbers) {
        p->numbers = bp_memory_of(given->optimizer.numbers, "numbers", NPY_DOUBLE,
                               bp_size_product(p->members.count, BP_MEMBER_NUMBERS));
        if (!p->numbers)
            return -1;
    }
    if (given->optimizer.penalties) {
        p->penalties = bp_memory_of(given->optimizer.penalties, "penalties", NPY_DOUBLE,
                                    bp_size_product(p->members.count, 2 * self->net.count));
        if (!p->penalties)
            return -1;
    }
    if (given->optimizer.rates) {
        const size_t samples = bp_member_samples(p), batch = p->settings.batch;
        const size_t steps = bp_size_product(samples / batch + (samples % batch > 0),
                                             p->settings.epochs);
        p->rates.own = PyArray_Check(given->optimizer.rates) &&
                       PyArray_NDIM((PyArrayObject *)given->optimizer.rates) == 2;
        p->rates.of = bp_memory_of(given->optimizer.rates, "rates", NPY_DOUBLE,
                                p->rates.own ? bp_size_product(steps, p->members.count) : steps);
        if (!p->rates.of)
            return -1;
    }
    return check_optimizers(p, (size_t)PyTuple_GET_SIZE(given->members.states));
}

/* -1 where a member is to be trained on samples without weight. */
static int
check_chosen_weights(const struct bp_population *p)
{
    for (size_t i = 0; p->data.of->weights && i < p->members.count; i++) {
        const double *weights = bp_data_of_member(&p->data, i)->weights;
        const uint32_t *rows = p->chosen.rows + i * p->chosen.count;
        double sum = 0;
        for (size_t n = 0; n < p->chosen.count; n++)
            sum += weights[rows[n]];
        if (!(sum > 0)) {
            PyErr_Format(PyExc_ValueError, "sample_weight must not be zero for all of samples[%zu]", i);
            return -1;
        }
    }
    return 0;
}

/* samples: (members, n) of rows */
static int
read_chosen(struct call *call)
{
    struct bp_population *p = &call->population;
    PyObject *object = call->given.chosen;
    const size_t rows = p->data.of->x.rows;

    if (!object)
        return 0;
    const size_t size = PyArray_Check(object) ? (size_t)PyArray_SIZE((PyArrayObject *)object) : 0;
    p->chosen.count = size / p->members.count;
    p->chosen.rows =
        bp_memory_of(object, "samples", NPY_UINT32, p->chosen.count * p->members.count);
    if (!p->chosen.rows || p->chosen.count == 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "samples must have at least one row for each member");
        return -1;
    }
    for (size_t i = 0; i < size; i++)
        if (p->chosen.rows[i] >= rows) {
            PyErr_Format(PyExc_ValueError, "samples must be rows of x, 0 to %zu, but one is %lu",
                         rows - 1, (unsigned long)p->chosen.rows[i]);
            return -1;
        }
    return check_chosen_weights(p);
}

static int
read_data(struct call *call, const Network *self)
{
    const struct given *given = &call->given;
    struct bp_population *p = &call->population;
    PyObject *const tuple = given->validation.tuple;

    if (bp_read_member_samples(&call->samples, &self->net, p->members.count, &given->samples, "") < 0)
        return -1;
    p->data = bp_member_data_of(&call->samples);
    if (tuple) {
        const Py_ssize_t count = PyTuple_Check(tuple) ? PyTuple_GET_SIZE(tuple) : 0;
        const bool own = given->validation.own;
        if (count != 2 && count != 3) {
            PyErr_Format(PyExc_TypeError,
                         "validation must be (x, y) or (x, y, sample_weight), not %R", tuple);
            return -1;
        }
        const struct bp_given_member_samples held_out = {
            .x = PyTuple_GET_ITEM(tuple, 0),
            .y = PyTuple_GET_ITEM(tuple, 1),
            .sample_weight = count == 3 ? PyTuple_GET_ITEM(tuple, 2) : NULL,
            .own_x = own,
            .own_y = own,
            .own_weight = own && count == 3,
        };
        if (bp_read_member_samples(&call->held_out, &self->net, p->members.count, &held_out,
                                   "validation ") < 0)
            return -1;
        p->validation = bp_member_data_of(&call->held_out);
    }
    return read_chosen(call);
}

/* bit_generators: a list of one for each member, all different, or one for all */
static int
read_generators(struct call *call, const Network *self)
{
    struct bp_population *p = &call->population;
    PyObject *given = call->given.bit_generators;
    const bool calls_python = self->customs && self->customs->python;

    if (!given) {
        if (!p->settings.shuffle && !self->net.dropout)
            return 0;
        PyErr_SetString(PyExc_ValueError, "shuffling and dropout need bit generators");
        return -1;
    }
    p->random.one = !PyList_Check(given);
    p->random.alike = call->given.alike;
    call->listed = p->random.one ? PyTuple_Pack(1, given) : PyList_AsTuple(given);
    PyObject *distinct = call->listed ? PySet_New(call->listed) : NULL;
    const Py_ssize_t count = distinct ? PySet_GET_SIZE(distinct) : -1;
    Py_XDECREF(distinct);
    if (count < 0)
        return -1;
    if (!p->random.one && (size_t)count != p->members.count) {
        PyErr_Format(PyExc_ValueError,
                     "bit_generators must be a list of %zu different ones, but has %zd",
                     p->members.count, count);
        return -1;
    }
    call->generators = PyMem_Calloc((size_t)count, sizeof(*call->generators));
    call->random = PyMem_Calloc((size_t)count, sizeof(*call->random));
    if (!call->generators || !call->random) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++, call->generator_count++) {
        if (bp_hold_generator(&call->generators[i], PyTuple_GET_ITEM(call->listed, i),
                              calls_python ? &call->gil : NULL) < 0)
            return -1;
        call->random[i] = call->generators[i].random;
    }
    p->random.of = call->random;
    return 0;
}

/* record: a tuple with an array (epochs, members) or None for each figure */
static int
read_record(struct call *call)
{
    struct bp_population *p = &call->population;
    PyObject *const tuple = call->given.record;
    const size_t count = bp_size_product(p->members.count, p->settings.epochs);

    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != BP_FIGURES) {
        PyErr_Format(PyExc_ValueError, "record must be a tuple of %d arrays or None", BP_FIGURES);
        return -1;
    }
    for (size_t f = 0; f < BP_FIGURES; f++) {
        PyObject *const figures = PyTuple_GET_ITEM(tuple, (Py_ssize_t)f);
        if (figures == Py_None)
            continue;
        p->record[f] = bp_memory_of(figures, "each of record", NPY_DOUBLE, count);
        if (!p->record[f])
            return -1;
    }
    return 0;
}

static int
read_training(struct call *call, const Network *self)
{
    static const char *const ways[] = {"fastest", "one by one", "in lanes", NULL};
    struct bp_population *p = &call->population;
    const int way = bp_find_name(ways, call->given.way, "way");

    if (way < 0)
        return -1;
    p->way = (enum bp_way)way;
    p->net = &self->net;
    p->poll = (struct bp_poll){bp_poll_signals, &call->gil};
    p->settings = call->given.settings;
    if (self->customs && self->customs->python)
        p->settings.threads = 1;
    if (read_members(call, self) < 0 || read_data(call, self) < 0 ||
        read_optimizers(call, self) < 0)
        return -1;
    if (read_record(call) < 0 || bp_read_patience(call->given.patience, p) < 0 ||
        bp_read_monitor(call->given.monitor, p) < 0)
        return -1;
    return read_generators(call, self);
}

static void
release(struct call *call)
{
    for (size_t i = 0; i < call->generator_count; i++)
        bp_release_generator(&call->generators[i]);
    PyMem_Free(call->generators);
    PyMem_Free(call->random);
    Py_XDECREF(call->listed);
    bp_release_member_samples(&call->samples);
    bp_release_member_samples(&call->held_out);
}

PyObject *
bp_network_train_population(PyObject *object, PyObject *const *args, Py_ssize_t count,
                            PyObject *names)
{
    Network *self = (Network *)object;
    struct call call = {.given = {.settings = {.threads = 1, .budget = Py_HUGE_VAL}, .way = "fastest"}};
    enum bp_status status = BP_FAILED;

    if (bp_read_arguments(&bp_train_population_signature, args, count, names, &call.given) < 0 ||
        bp_enter(self) < 0)
        return NULL;
    if (read_training(&call, self) == 0) {
        bp_give_up_gil(&call.gil);
        status = bp_train_population(&call.population);
        bp_take_gil(&call.gil);
    }
    release(&call);
    bp_leave(self);
    if (status != BP_OK)
        return bp_raise(status);
    Py_RETURN_NONE;
}
