#include "stream_hooks.h"

static const struct bp_argument stream_arguments[] = {
    {"next_block", BP_ARG_OBJECT, offsetof(struct bp_stream_hooks, given.next_block), true, 0},
    {"rates", BP_ARG_OPTIONAL, offsetof(struct bp_stream_hooks, given.rates), true, 0},
    {"whole", BP_ARG_FLAG, offsetof(struct bp_stream_hooks, given.whole), true, 0},
    {"thread", BP_ARG_THREAD, offsetof(struct bp_stream_hooks, given.thread), true, 0},
};
const struct bp_signature bp_stream_signature = BP_SIGNATURE("stream", stream_arguments, 0);

/* Reads one block into *data; 0, or -1 with an exception. */
static int
read_block(struct bp_stream_hooks *hooks, PyObject *tuple, struct bp_data *data)
{
    PyObject *x, *y, *weights;

    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "a block must be (x, y, sample_weight), not %R", tuple);
        return -1;
    }
    if (!PyArg_ParseTuple(tuple, "OOO;a block must be (x, y, sample_weight)", &x, &y, &weights) ||
        bp_read_samples(&hooks->block, hooks->net, x, y, "x of a batch", "y of a batch") < 0 ||
        bp_check_targets(&hooks->block, hooks->net, "y of a batch") < 0)
        return -1;
    if (bp_check_sample_count(&hooks->block.data, "a batch") < 0 ||
        (weights != Py_None &&
         bp_read_weights(&hooks->block, weights, "sample_weight of a batch", true) < 0))
        return -1;
    *data = hooks->block.data;
    return 0;
}

static bool
next_block(void *context, struct bp_data *data)
{
    struct bp_stream_hooks *hooks = context;

    bp_take_gil(hooks->gil);
    bp_release_samples(&hooks->block);
    *data = (struct bp_data){0};
    PyObject *block = PyObject_CallNoArgs(hooks->given.next_block);
    const bool good = block && (block == Py_None || read_block(hooks, block, data) == 0);
    Py_XDECREF(block);
    hooks->stream.interrupted = !good && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    bp_give_up_gil(hooks->gil);
    return good;
}

static const double *
next_rates(void *context, size_t first, size_t count)
{
    struct bp_stream_hooks *hooks = context;
    const double *numbers = NULL;

    bp_take_gil(hooks->gil);
    PyObject *rates =
        PyObject_CallFunction(hooks->given.rates, "nn", (Py_ssize_t)first, (Py_ssize_t)count);
    if (rates)
        numbers = bp_doubles(rates, "rates", count);
    hooks->stream.interrupted = !numbers && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    Py_XSETREF(hooks->block_rates, rates);
    bp_give_up_gil(hooks->gil);
    return numbers;
}

int
bp_hook_stream(struct bp_stream_hooks *hooks, struct bp_gil *gil, const struct bp_network *net,
               PyObject *stream, struct bp_training *training)
{
    if (bp_read_dict(&bp_stream_signature, stream, hooks, &hooks->kept) < 0)
        return -1;
    hooks->gil = gil;
    hooks->net = net;
    hooks->stream = (struct bp_stream){
        .whole = hooks->given.whole,
        .next = next_block,
        .rates = hooks->given.rates ? next_rates : NULL,
        .context = hooks,
    };
    training->stream = &hooks->stream;
    return 0;
}

void
bp_release_stream(struct bp_stream_hooks *hooks)
{
    bp_release_samples(&hooks->block);
    Py_CLEAR(hooks->block_rates);
    Py_CLEAR(hooks->kept);
}
