#include "rank_hooks.h"

#include "core/base/memory.h"
#include "numbers.h"

#define GIVEN(field) offsetof(struct bp_rank_hooks, given.field)
#define COMMON(field) offsetof(struct bp_rank_hooks, common.field)
#define RANKS(field) offsetof(struct bp_rank_hooks, ranks.field)

static const struct bp_argument ranks_arguments[] = {
    {"rank", BP_ARG_SIZE, RANKS(me), true, 0},
    {"size", BP_ARG_SIZE, RANKS(count), true, 1},
    {"sharded", BP_ARG_FLAG, RANKS(sharded), true, 0},
    {"steps", BP_ARG_SIZE, RANKS(steps), true, 0},
    {"average_every", BP_ARG_SIZE, RANKS(average_every), true, 0},
    {"allreduce", BP_ARG_OBJECT, GIVEN(allreduce), true, 0},
    {"in_place", BP_ARG_OBJECT, GIVEN(in_place), true, 0},
    {"interrupted", BP_ARG_OBJECT, GIVEN(interrupted), true, 0},
    {"common_memory", BP_ARG_OPTIONAL, GIVEN(common_memory), true, 0},
};
const struct bp_signature bp_ranks_signature = BP_SIGNATURE("ranks", ranks_arguments, 0);

static const struct bp_argument common_arguments[] = {
    {"memory", BP_ARG_OBJECT, COMMON(memory), true, 0},
    {"rows", BP_ARG_SIZE, RANKS(rows), true, 0},
    {"barrier", BP_ARG_OBJECT, COMMON(barrier), true, 0},
    {"sync", BP_ARG_OBJECT, COMMON(sync), true, 0},
};
const struct bp_signature bp_common_memory_signature =
    BP_SIGNATURE("common_memory", common_arguments, 0);

/* Allreduce, with the GIL held: called straight from C, so that no Python code runs in which a
 * signal could end this rank before the others know. */
static bool
add_over_ranks(struct bp_rank_hooks *hooks, enum bp_dtype dtype, size_t count, void *numbers)
{
    const npy_intp length = (npy_intp)count;
    PyObject *array = PyArray_SimpleNewFromData(1, &length, bp_type_number(dtype), numbers);
    PyObject *arguments[] = {hooks->given.in_place, array};
    PyObject *done = array ? PyObject_Vectorcall(hooks->given.allreduce, arguments, 2, NULL) : NULL;

    Py_XDECREF(array);
    Py_XDECREF(done);
    return done != NULL;
}

/* The exception that was fetched stays, unless there is a newer one. */
static void
restore_or_drop(bool good, PyObject *type, PyObject *value, PyObject *traceback)
{
    if (good) {
        PyErr_Restore(type, value, traceback);
        return;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

static bool
reduce(void *context, enum bp_dtype dtype, size_t count, void *numbers)
{
    struct bp_rank_hooks *hooks = context;
    PyObject *type, *value, *traceback;

    bp_take_gil(hooks->gil);
    PyErr_Fetch(&type, &value, &traceback); /* of a rank that failed, in its last exchange */
    const bool good = add_over_ranks(hooks, dtype, count, numbers);
    restore_or_drop(good, type, value, traceback);
    bp_give_up_gil(hooks->gil);
    return good;
}

/* All ranks see what all have written: MPI orders accesses to common memory by a sync, a barrier and
 * a sync. No Python code runs here. */
static bool
barrier(void *context)
{
    struct bp_rank_hooks *hooks = context;
    PyObject *calls[] = {hooks->common.sync, hooks->common.barrier, hooks->common.sync};
    PyObject *type, *value, *traceback;
    bool good = true;

    bp_take_gil(hooks->gil);
    PyErr_Fetch(&type, &value, &traceback); /* of a rank that failed, in its last exchange */
    for (size_t i = 0; good && i < sizeof(calls) / sizeof(*calls); i++) {
        PyObject *done = PyObject_CallNoArgs(calls[i]);
        good = done != NULL;
        Py_XDECREF(done);
    }
    restore_or_drop(good, type, value, traceback);
    bp_give_up_gil(hooks->gil);
    return good;
}

int
bp_hook_ranks(struct bp_rank_hooks *hooks, struct bp_gil *gil, PyObject *ranks,
              struct bp_training *training)
{
    if (bp_read_dict(&bp_ranks_signature, ranks, hooks, &hooks->kept) < 0)
        return -1;
    PyObject *interrupted = hooks->given.interrupted;
    if (!PyArray_Check(interrupted) || PyArray_TYPE((PyArrayObject *)interrupted) != NPY_BOOL ||
        PyArray_SIZE((PyArrayObject *)interrupted) != 1) {
        PyErr_Format(PyExc_TypeError, "interrupted must be an array of one bool, not %R",
                     interrupted);
        return -1;
    }
    if (hooks->ranks.me >= hooks->ranks.count) {
        PyErr_Format(PyExc_ValueError, "rank must be below size, %zu, but is %zu",
                     hooks->ranks.count, hooks->ranks.me);
        return -1;
    }
    hooks->gil = gil;
    hooks->ranks.reduce = reduce;
    hooks->ranks.context = hooks;
    training->ranks = &hooks->ranks;
    return 0;
}

int
bp_hook_common_memory(struct bp_rank_hooks *hooks, struct bp_training *training)
{
    struct bp_ranks *ranks = &hooks->ranks;

    if (!hooks->given.common_memory)
        return 0;
    if (bp_read_dict(&bp_common_memory_signature, hooks->given.common_memory, hooks,
                     &hooks->kept_common) < 0)
        return -1;
    const size_t room = bp_room_to_share(training->net, training->optimizer, ranks);
    const size_t of_batch = bp_size_product(ranks->rows, ranks->sharded ? 1 : ranks->count);
    const bool any_size = training->stream && training->stream->whole;
    if (ranks->rows > 0 && (of_batch < training->settings.batch || any_size)) {
        PyErr_SetString(PyExc_ValueError, "a rank has more rows of a batch than it says");
        return -1;
    }
    PyArrayObject *array = (PyArrayObject *)hooks->common.memory;
    if (!PyArray_Check(hooks->common.memory)) {
        PyErr_Format(PyExc_TypeError, "the ranks' common memory must be an ndarray, not %R",
                     hooks->common.memory);
        return -1;
    }
    if (room == 0 || training->settings.norms || ranks->average_every > 0 || !PyArray_ISCARRAY(array) ||
        (size_t)PyArray_NBYTES(array) != room) {
        PyErr_Format(PyExc_ValueError, "the ranks' common memory must have %zu bytes", room);
        return -1;
    }
    ranks->shared = PyArray_DATA(array);
    ranks->barrier = barrier;
    return 0;
}

bool
bp_ranks_interrupted(const struct bp_rank_hooks *hooks)
{
    return hooks->given.interrupted &&
           *PyArray_BYTES((PyArrayObject *)hooks->given.interrupted);
}

void
bp_report_no_start(struct bp_rank_hooks *hooks)
{
    PyObject *type, *value, *traceback;
    double lost = 1;

    if (!hooks->gil || hooks->status_exchanged)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    if (!add_over_ranks(hooks, BP_FLOAT64, 1, &lost))
        PyErr_Clear();
    PyErr_Restore(type, value, traceback);
}

void
bp_release_ranks(struct bp_rank_hooks *hooks)
{
    Py_CLEAR(hooks->kept);
    Py_CLEAR(hooks->kept_common);
}
