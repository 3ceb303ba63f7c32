#include "train_hooks.h"

#include <math.h>

double *
bp_doubles(PyObject *object, const char *name, npy_intp count)
{
    if (!PyArray_Check(object) || PyArray_TYPE((PyArrayObject *)object) != NPY_DOUBLE ||
        !PyArray_ISCARRAY((PyArrayObject *)object) ||
        PyArray_SIZE((PyArrayObject *)object) != count) {
        PyErr_Format(PyExc_ValueError, "%s must be a contiguous float64 array of %zd numbers", name,
                     (Py_ssize_t)count);
        return NULL;
    }
    return PyArray_DATA((PyArrayObject *)object);
}

double *
bp_read_sample_weights(PyObject *object, size_t samples, bool zeros)
{
    double *weights = bp_doubles(object, "sample_weight", (npy_intp)samples), sum = 0;

    for (size_t n = 0; weights && n < samples; n++) {
        if (!(weights[n] >= 0 && isfinite(weights[n]))) {
            PyErr_Format(PyExc_ValueError,
                         "sample_weight must be finite and not negative, but entry %zu is not", n);
            return NULL;
        }
        sum += weights[n];
    }
    if (weights && !(sum > 0) && !zeros) {
        PyErr_SetString(PyExc_ValueError, "sample_weight must not be zero for every sample");
        return NULL;
    }
    return weights;
}

bool
bp_check_signals(void *context)
{
    struct bp_hooks *hooks = context;

    PyEval_RestoreThread(hooks->saved);
    const bool raised = PyErr_Occurred() || PyErr_CheckSignals() < 0;
    const bool asked = hooks->interrupted && *PyArray_BYTES((PyArrayObject *)hooks->interrupted);
    hooks->saved = PyEval_SaveThread();
    return raised || asked;
}

static void
release_block(struct bp_hooks *hooks)
{
    bp_release_samples(&hooks->block);
    Py_CLEAR(hooks->block_weights);
}

/* Reads one block into *data; 0, or -1 with an exception. */
static int
read_block(struct bp_hooks *hooks, PyObject *tuple, struct bp_data *data)
{
    PyObject *x, *y, *weights;

    if (!PyArg_ParseTuple(tuple, "OOO;a block must be (x, y, sample_weight)", &x, &y, &weights) ||
        bp_read_samples(&hooks->block, hooks->net, x, y, "x of a batch", "y of a batch") < 0)
        return -1;
    *data = hooks->block.data;
    if (data->x.rows > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "a batch has %zu samples, but at most %lu can be trained on",
                     data->x.rows, (unsigned long)UINT32_MAX);
        return -1;
    }
    if (weights == Py_None)
        return 0;
    data->weights = bp_read_sample_weights(weights, data->x.rows, true);
    hooks->block_weights = Py_NewRef(weights);
    return data->weights ? 0 : -1;
}

static bool
next_block(void *context, struct bp_data *data)
{
    struct bp_hooks *hooks = context;

    PyEval_RestoreThread(hooks->saved);
    release_block(hooks);
    *data = (struct bp_data){0};
    PyObject *block = PyObject_CallNoArgs(hooks->next_block);
    const bool good = block && (block == Py_None || read_block(hooks, block, data) == 0);
    Py_XDECREF(block);
    hooks->saved = PyEval_SaveThread();
    return good;
}

static const double *
next_rates(void *context, size_t first, size_t count)
{
    struct bp_hooks *hooks = context;
    const double *numbers = NULL;

    PyEval_RestoreThread(hooks->saved);
    PyObject *rates = PyObject_CallFunction(hooks->rates, "nn", (Py_ssize_t)first, (Py_ssize_t)count);
    if (rates)
        numbers = bp_doubles(rates, "rates", (npy_intp)count);
    Py_XSETREF(hooks->block_rates, rates);
    hooks->saved = PyEval_SaveThread();
    return numbers;
}

int
bp_hook_stream(struct bp_hooks *hooks, struct bp_training *training, PyObject *stream)
{
    int whole;

    if (stream == Py_None)
        return 0;
    if (!PyArg_ParseTuple(stream, "OOpk;stream must be (next_block, rates, whole, thread)",
                          &hooks->next_block, &hooks->rates, &whole, &hooks->reader))
        return -1;
    hooks->stream = (struct bp_stream){
        .whole = whole,
        .next = next_block,
        .rates = hooks->rates == Py_None ? NULL : next_rates,
        .context = hooks,
    };
    training->stream = &hooks->stream;
    return 0;
}

/* Allreduce, with the GIL held: called straight from C, so that no Python code runs in which a
 * signal could end this rank before the others know. */
static bool
add_over_ranks(struct bp_hooks *hooks, enum bp_dtype dtype, size_t count, void *numbers)
{
    const npy_intp length = (npy_intp)count;
    PyObject *array = PyArray_SimpleNewFromData(1, &length, bp_type_number(dtype), numbers);
    PyObject *arguments[] = {hooks->in_place, array};
    PyObject *done = array ? PyObject_Vectorcall(hooks->allreduce, arguments, 2, NULL) : NULL;

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
add(void *context, enum bp_dtype dtype, size_t count, void *numbers)
{
    struct bp_hooks *hooks = context;
    PyObject *type, *value, *traceback;

    PyEval_RestoreThread(hooks->saved);
    PyErr_Fetch(&type, &value, &traceback); /* of a rank that is lost and comes to say so */
    const bool good = add_over_ranks(hooks, dtype, count, numbers);
    restore_or_drop(good, type, value, traceback);
    hooks->saved = PyEval_SaveThread();
    return good;
}

/* All ranks see what all have written: MPI orders accesses to common memory by a sync, a barrier and
 * a sync. No Python code runs here. */
static bool
meet(void *context)
{
    struct bp_hooks *hooks = context;
    PyObject *calls[] = {hooks->sync, hooks->barrier, hooks->sync};
    PyObject *type, *value, *traceback;
    bool good = true;

    PyEval_RestoreThread(hooks->saved);
    PyErr_Fetch(&type, &value, &traceback); /* of a rank that is lost and comes to say so */
    for (size_t i = 0; good && i < sizeof(calls) / sizeof(*calls); i++) {
        PyObject *done = PyObject_CallNoArgs(calls[i]);
        good = done != NULL;
        Py_XDECREF(done);
    }
    restore_or_drop(good, type, value, traceback);
    hooks->saved = PyEval_SaveThread();
    return good;
}

int
bp_hook_shared(struct bp_hooks *hooks, struct bp_training *training)
{
    PyObject *memory;
    Py_ssize_t rows;

    if (hooks->shared == Py_None)
        return 0;
    if (!PyArg_ParseTuple(hooks->shared, "O!nOO;shared must be (memory, rows, barrier, sync)",
                          &PyArray_Type, &memory, &rows, &hooks->barrier, &hooks->sync))
        return -1;
    PyArrayObject *array = (PyArrayObject *)memory;
    struct bp_ranks *ranks = training->ranks;
    ranks->rows = (size_t)rows;
    const size_t room = bp_room_to_share(training->net, training->optimizer, ranks);
    const size_t of_batch = ranks->rows * (ranks->sharded ? 1 : ranks->count);
    const bool any_size = training->stream && training->stream->whole;
    if (ranks->rows > 0 && (of_batch < training->batch || any_size)) {
        PyErr_SetString(PyExc_ValueError, "a rank has more rows of a batch than it says");
        return -1;
    }
    if (room == 0 || training->norms || ranks->average_every > 0 ||
        !PyArray_ISCARRAY(array) || (size_t)PyArray_NBYTES(array) != room) {
        PyErr_Format(PyExc_ValueError, "the ranks' common memory must have %zu bytes", room);
        return -1;
    }
    ranks->shared = PyArray_DATA(array);
    ranks->meet = meet;
    return 0;
}

int
bp_hook_ranks(struct bp_hooks *hooks, struct bp_training *training, PyObject *ranks)
{
    Py_ssize_t me, count, steps, average_every;
    int sharded;

    if (ranks == Py_None)
        return 0;
    if (!PyArg_ParseTuple(ranks, "nnpnnOOO!O;ranks must be (rank, size, sharded, steps, average_every, "
                                 "Allreduce, IN_PLACE, interrupted, shared)",
                          &me, &count, &sharded, &steps, &average_every, &hooks->allreduce,
                          &hooks->in_place, &PyArray_Type, &hooks->interrupted, &hooks->shared))
        return -1;
    hooks->ranks = (struct bp_ranks){
        .me = (size_t)me,
        .count = (size_t)count,
        .sharded = sharded,
        .steps = (size_t)steps,
        .average_every = (size_t)average_every,
        .add = add,
        .context = hooks,
    };
    training->ranks = &hooks->ranks;
    return 0;
}

void
bp_hooks_refuse(struct bp_hooks *hooks)
{
    PyObject *type, *value, *traceback;
    double lost = 1;

    if (!hooks->allreduce || hooks->ranks.told)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    if (!add_over_ranks(hooks, BP_FLOAT64, 1, &lost))
        PyErr_Clear();
    PyErr_Restore(type, value, traceback);
}

void
bp_release_hooks(struct bp_hooks *hooks)
{
    release_block(hooks);
    Py_CLEAR(hooks->block_rates);
}
