#include "solve_method.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/network/functions.h"
#include "core/solve/solve.h"
#include "gil.h"
#include "network_object.h"

/* what _solve is given */
struct given {
    struct {
        PyObject *x, *y, *sample_weight, *target_mask;
        PyObject *validation; /* (x, y), or (x, y, sample_weight) */
    } data;
    PyObject *pairs, *numbers, *penalties, *kept, *record, *after;
    struct bp_levenberg levenberg;
    struct bp_limits limits;
    size_t residuals;
    size_t iterations, threads;
};

#define GIVEN(field) offsetof(struct given, field)

static const struct bp_argument solve_arguments[] = {
    {"x", BP_ARG_OBJECT, GIVEN(data.x), true, 0},
    {"y", BP_ARG_OBJECT, GIVEN(data.y), true, 0},
    {"iterations", BP_ARG_SIZE, GIVEN(iterations), true, 1},
    {"record", BP_ARG_OBJECT, GIVEN(record), true, 0},
    {"numbers", BP_ARG_OBJECT, GIVEN(numbers), true, 0},
    {"after", BP_ARG_OPTIONAL, GIVEN(after), false, 0},
    {"pairs", BP_ARG_OPTIONAL, GIVEN(pairs), false, 0},
    {"accelerated", BP_ARG_FLAG, GIVEN(levenberg.accelerated), false, 0},
    {"penalties", BP_ARG_OPTIONAL, GIVEN(penalties), false, 0},
    {"kept", BP_ARG_OPTIONAL, GIVEN(kept), false, 0},
    {"residuals", BP_ARG_SIZE, GIVEN(residuals), false, 0},
    {"sample_weight", BP_ARG_OPTIONAL, GIVEN(data.sample_weight), false, 0},
    {"target_mask", BP_ARG_OPTIONAL, GIVEN(data.target_mask), false, 0},
    {"validation", BP_ARG_OPTIONAL, GIVEN(data.validation), false, 0},
    {"threads", BP_ARG_SIZE, GIVEN(threads), false, 1},
    {"gradient", BP_ARG_REAL, GIVEN(limits.gradient), false, 0},
    {"target", BP_ARG_REAL, GIVEN(limits.target), false, -INFINITY},
    {"budget", BP_ARG_REAL, GIVEN(limits.budget), false, 0},
};
const struct bp_signature bp_solve_signature = BP_SIGNATURE("Network._solve()", solve_arguments, 0);

/* one call of _solve */
struct call {
    struct given given;
    Network *network; /* held, but for as long as `after` runs */
    bool left; /* by `after`, with an exception: not held any more */
    struct bp_gil gil;
    struct bp_samples samples, held_out;
    struct bp_lbfgs lbfgs;
    struct bp_bayes bayes;
    double *numbers;        /* what the solver remembers, as Python has it; steps are the last */
    double steps;           /* before this call */
    struct bp_network twin; /* of double, for a float32 network's Levenberg-Marquardt */
    double *twin_parameters;
    struct bp_solving solving;
};

static PyObject *
raise_not_finite(const struct bp_module *module, size_t layer)
{
    PyObject *text = PyUnicode_FromFormat(
        "C or its gradient is not finite where training begins: layer %zu, net.layers[%zu], is the "
        "first that is not finite",
        layer + 2, layer);
    PyObject *error = text ? PyObject_CallOneArg(module->divergence_error, text) : NULL;
    PyObject *epoch = PyLong_FromLong(1), *number = PyLong_FromSize_t(layer + 2);

    if (error && epoch && number && PyObject_SetAttrString(error, "epoch", epoch) == 0 &&
        PyObject_SetAttrString(error, "layer", number) == 0)
        PyErr_SetObject(module->divergence_error, error);
    Py_XDECREF(text);
    Py_XDECREF(error);
    Py_XDECREF(epoch);
    Py_XDECREF(number);
    return NULL;
}

static int
read_data(struct call *call, Network *self)
{
    const struct given *given = &call->given;
    struct bp_solving *s = &call->solving;

    if (bp_read_samples(&call->samples, &self->net, given->data.x, given->data.y, "x", "y") < 0)
        return -1;
    if (given->data.target_mask &&
        bp_read_mask(&call->samples, &self->net, given->data.target_mask) < 0)
        return -1;
    if (bp_check_targets(&call->samples, &self->net, "y") < 0)
        return -1;
    if (given->data.sample_weight &&
        bp_read_weights(&call->samples, given->data.sample_weight, "sample_weight", false) < 0)
        return -1;
    s->data = call->samples.data;
    if (!given->data.validation)
        return 0;
    s->validation = &call->held_out.data;
    return bp_read_validation(&call->held_out, &self->net, given->data.validation);
}

/* pairs: (memory, 2, parameters) */
static int
read_lbfgs(struct call *call, const struct bp_network *net)
{
    PyObject *pairs = call->given.pairs;
    const size_t size = PyArray_Check(pairs) ? (size_t)PyArray_SIZE((PyArrayObject *)pairs) : 0;
    const size_t memory = size / net->parameters / 2;

    call->numbers = bp_doubles(call->given.numbers, "numbers", 3);
    call->lbfgs.pairs =
        bp_doubles(pairs, "pairs", bp_size_product(2 * (memory > 0 ? memory : 1), net->parameters));
    if (!call->numbers || !call->lbfgs.pairs)
        return -1;
    if (!(call->numbers[0] >= 0 && call->numbers[0] <= (double)memory && call->numbers[1] >= 0 &&
          call->numbers[1] < (double)memory)) {
        PyErr_SetString(PyExc_ValueError, "numbers must begin with a count and a place of the pairs");
        return -1;
    }
    call->lbfgs.memory = memory;
    call->lbfgs.count = (size_t)call->numbers[0];
    call->lbfgs.next = (size_t)call->numbers[1];
    call->solving.lbfgs = &call->lbfgs;
    return 0;
}

/* The network in double, with copies of its parameters. */
static int
make_twin(struct call *call, const Network *self)
{
    const struct bp_network *net = &self->net;
    struct bp_network *twin = &call->twin;

    *twin = *net;
    twin->kernels = self->module->kernels[BP_FLOAT64];
    twin->layers = PyMem_Calloc(net->count, sizeof(*twin->layers));
    if (!twin->layers) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(twin->layers, net->layers, net->count * sizeof(*twin->layers));
    const enum bp_status status = bp_network_lay_out(twin);
    call->twin_parameters =
        status == BP_OK ? bp_allocate(bp_room(twin), twin->kernels->size) : NULL;
    if (!call->twin_parameters) {
        bp_raise(status == BP_OK ? BP_NO_MEMORY : status);
        return -1;
    }
    for (size_t p = 0; p < net->parameters; p++)
        call->twin_parameters[p] = ((const float *)self->parameters.at)[p];
    call->solving.net = twin;
    call->solving.parameters = call->twin_parameters;
    call->solving.single = true;
    return 0;
}

/* Back into the network's own: every number of the twin is one of float. */
static void
take_from_twin(const struct call *call, const Network *self)
{
    for (size_t p = 0; call->twin_parameters && p < self->net.parameters; p++)
        ((float *)self->parameters.at)[p] = (float)call->twin_parameters[p];
}

/* penalties: λ, then those that are kept; kept: the parameters */
static int
read_bayes(struct call *call, const struct bp_network *net)
{
    const double *numbers = call->numbers;
    const size_t groups = bp_groups(net);
    double *penalties = bp_doubles(call->given.penalties, "penalties", 2 * groups);
    double *kept = penalties ? bp_doubles(call->given.kept, "kept", net->parameters) : NULL;

    if (!kept)
        return -1;
    if (!(numbers[BP_BAYES_STAGE] >= 0 && numbers[BP_BAYES_STAGE] <= (double)BP_SETTLED && numbers[BP_BAYES_WAITED] >= 0 &&
          numbers[BP_BAYES_WAITED] < 1e9)) {
        PyErr_SetString(PyExc_ValueError, "numbers must have a stage and how often it waited");
        return -1;
    }
    call->bayes = (struct bp_bayes){
        .effective = numbers[BP_BAYES_EFFECTIVE],
        .log_evidence = numbers[BP_BAYES_LOG_EVIDENCE],
        .stage = (enum bp_stage)numbers[BP_BAYES_STAGE],
        .waited = (size_t)numbers[BP_BAYES_WAITED],
        .penalties = penalties,
        .kept_effective = numbers[BP_BAYES_KEPT_EFFECTIVE],
        .kept_log_evidence = numbers[BP_BAYES_KEPT_LOG_EVIDENCE],
        .kept_penalties = penalties + groups,
        .kept = kept,
        .residuals = call->given.residuals,
    };
    call->given.levenberg.bayes = &call->bayes;
    return 0;
}

static void
show_bayes(const struct call *call)
{
    call->numbers[BP_BAYES_EFFECTIVE] = call->bayes.effective;
    call->numbers[BP_BAYES_LOG_EVIDENCE] = call->bayes.log_evidence;
    call->numbers[BP_BAYES_STAGE] = (double)call->bayes.stage;
    call->numbers[BP_BAYES_WAITED] = (double)call->bayes.waited;
    call->numbers[BP_BAYES_KEPT_EFFECTIVE] = call->bayes.kept_effective;
    call->numbers[BP_BAYES_KEPT_LOG_EVIDENCE] = call->bayes.kept_log_evidence;
    call->numbers[BP_BAYES_LAYERS] = call->bayes.stage == BP_NOT_BEGUN ? 0 : (double)call->network->net.count;
}

static int
read_levenberg(struct call *call, const Network *self)
{
    const bool bayesian = call->given.kept != NULL;
    struct bp_levenberg *own = &call->given.levenberg;

    call->numbers = bp_doubles(call->given.numbers, "numbers", bayesian ? BP_BAYESIAN_NUMBERS : 2);
    if (!call->numbers || (bayesian && read_bayes(call, &self->net) < 0))
        return -1;
    own->damping = call->numbers[BP_BAYES_DAMPING];
    call->solving.levenberg = own;
    return self->net.kernels->dtype == BP_FLOAT32 ? make_twin(call, self) : 0;
}

static double *
steps_of(const struct call *call)
{
    return call->numbers + (call->given.pairs ? 2 : call->given.kept ? BP_BAYES_STEPS : 1);
}

/* Shows Python what has been reached: what the solver remembers now, and the parameters. */
static void
show(struct call *call)
{
    const struct bp_levenberg *levenberg = call->solving.levenberg;

    call->numbers[0] = levenberg ? levenberg->damping : (double)call->lbfgs.count;
    if (!levenberg)
        call->numbers[1] = (double)call->lbfgs.next;
    else if (levenberg->bayes)
        show_bayes(call);
    *steps_of(call) = call->steps + (double)call->solving.done;
    take_from_twin(call, call->network);
}

/* What `after` says, while others may use the network. */
static bool
ask_after(void *context)
{
    struct call *call = context;

    bp_take_gil(&call->gil);
    show(call);
    bp_leave(call->network);
    PyObject *answer = PyObject_CallNoArgs(call->given.after);
    const int ends = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    call->left = ends < 0 || bp_enter(call->network) < 0;
    bp_give_up_gil(&call->gil);
    return ends != 0 || call->left;
}

/* Everything but the data. */
static int
read_settings(struct call *call, Network *self)
{
    const struct given *given = &call->given;
    struct bp_solving *s = &call->solving;

    s->net = &self->net;
    s->parameters = self->parameters.at;
    s->iterations = given->iterations;
    s->threads = self->customs && self->customs->python ? 1 : given->threads;
    s->limits = given->limits;
    s->poll = (struct bp_poll){bp_poll_signals, &call->gil};
    if (given->after)
        s->after = (struct bp_poll){ask_after, call};
    s->record = bp_doubles(given->record, "record",
                           bp_size_product(s->iterations, BP_SOLVED_FIGURES));
    if (!s->record)
        return -1;
    if ((given->pairs ? read_lbfgs(call, &self->net) : read_levenberg(call, self)) < 0)
        return -1;
    call->steps = *steps_of(call);
    return 0;
}

#define NAME(enumerator, name) name,
static const char *const ends[] = {BP_EACH_END(NAME)};
#undef NAME

/* Solves, once all is read; what _solve returns. */
static PyObject *
run(struct call *call, Network *self)
{
    struct bp_solving *s = &call->solving;

    bp_give_up_gil(&call->gil);
    const enum bp_status status = bp_solve(s);
    bp_take_gil(&call->gil);
    if (call->left)
        return NULL;
    if (!call->given.after) /* else it has seen all, and may have changed it */
        show(call);
    if (bp_failed(&self->net))
        return bp_raise(BP_FAILED);
    if (status == BP_DIVERGED)
        return raise_not_finite(self->module, s->bad_layer);
    if (status != BP_OK)
        return bp_raise(status);
    return Py_BuildValue("ns", (Py_ssize_t)s->done, ends[s->end]);
}

PyObject *
bp_network_solve(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Network *self = (Network *)object;
    PyObject *result = NULL;
    struct call call = {
        .given = {.threads = 1, .limits = {.target = -INFINITY, .budget = INFINITY}},
        .network = self,
    };

    if (bp_read_arguments(&bp_solve_signature, args, count, names, &call.given) < 0 ||
        bp_enter(self) < 0)
        return NULL;
    if (read_data(&call, self) == 0 && read_settings(&call, self) == 0)
        result = run(&call, self);
    PyMem_Free(call.twin.layers);
    bp_free(call.twin_parameters);
    bp_release_samples(&call.samples);
    bp_release_samples(&call.held_out);
    if (!call.left)
        bp_leave(self);
    return result;
}

struct given_size {
    size_t samples;
    bool primal;
};

static const struct bp_argument size_arguments[] = {
    {"samples", BP_ARG_SIZE, offsetof(struct given_size, samples), true, 1},
    {"primal", BP_ARG_FLAG, offsetof(struct given_size, primal), true, 0},
};
const struct bp_signature bp_levenberg_bytes_signature =
    BP_SIGNATURE("Network._levenberg_bytes()", size_arguments, 0);

PyObject *
bp_network_levenberg_bytes(PyObject *object, PyObject *const *args, Py_ssize_t count,
                           PyObject *names)
{
    Network *self = (Network *)object;
    struct given_size given;

    if (bp_read_arguments(&bp_levenberg_bytes_signature, args, count, names, &given) < 0 ||
        bp_enter(self) < 0)
        return NULL;
    struct bp_network twin = self->net; /* of it only sizes are asked */
    twin.kernels = self->module->kernels[BP_FLOAT64];
    const size_t bytes = bp_levenberg_bytes(&twin, given.samples, given.primal);
    bp_leave(self);
    if (bytes == SIZE_MAX)
        Py_RETURN_NONE;
    return PyLong_FromSize_t(bytes);
}
