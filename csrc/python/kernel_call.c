#include "kernel_call.h"

#include <string.h>

/* The value of the argument `name`: an enumerator of the activations or losses; -1 with an exception. */
static int
find_function(const char *kind, PyObject *object)
{
    const bool activation = strcmp(kind, "activation") == 0;
    const char *name = PyUnicode_Check(object) ? PyUnicode_AsUTF8(object) : NULL;

    if (name)
        return bp_find_name(activation ? bp_activation_names : bp_loss_names, name, kind);
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_TypeError, "name must be the name of a built-in %s, not %R", kind,
                     object);
    return -1;
}

static bool
is_function(const struct bp_term *term)
{
    return strcmp(term->name, "activation") == 0 || strcmp(term->name, "loss") == 0;
}

/* The values of the terms and of `out`, by place or by name. */
static int
read_given(const struct bp_kernel *kernel, const struct bp_terms *terms, PyObject *const *args,
           Py_ssize_t count, PyObject *names, PyObject *given[BP_MOST_OPERANDS + 1])
{
    struct bp_argument arguments[BP_MOST_OPERANDS + 1];
    const struct bp_signature signature = {kernel->name, arguments, terms->count + 1,
                                           terms->count + 1};

    for (size_t i = 0; i <= terms->count; i++) {
        const struct bp_term *term = &terms->arguments[i];
        const bool last = i == terms->count;
        arguments[i] = (struct bp_argument){
            .name = last ? "out" : is_function(term) ? "name" : term->name,
            .kind = last || term->optional ? BP_ARG_OPTIONAL : BP_ARG_OBJECT,
            .offset = i * sizeof(*given),
            .required = !last && !term->optional,
        };
    }
    return bp_read_arguments(&signature, args, count, names, given);
}

/* Everything that is given, checked; `kernel` becomes softmax's where that is another. */
static int
take_given(struct bp_kernel_call *call, const struct bp_module *module, struct bp_kernel *kernel,
           struct bp_terms *terms, PyObject *const *given)
{
    struct bp_operand *operand = call->operands;

    for (size_t i = 0; i < terms->count; i++) {
        const struct bp_term *term = &terms->arguments[i];
        if (term->shapes[0]) {
            if (given[i] && bp_take_operand(call, module, term, given[i], operand) < 0)
                return -1;
            operand++;
        }
        else if (is_function(term)) {
            call->function = find_function(term->name, given[i]);
            if (call->function < 0)
                return -1;
            if (kernel->of_softmax && call->function == BP_SOFTMAX) {
                kernel->compute = kernel->compute_softmax;
                bp_parse_terms(kernel->of_softmax, terms);
            }
        }
        else {
            call->number = PyFloat_AsDouble(given[i]);
            if (call->number == -1 && PyErr_Occurred())
                return -1;
        }
    }
    return 0;
}

/* Where shapes are (...): the first operand's numbers into the result, and the others' one after the other. */
static int
line_up(struct bp_kernel_call *call, PyArrayObject *result)
{
    if (!call->whole)
        return 0;
    for (size_t i = 1; i < BP_MOST_OPERANDS && call->operands[i].array; i++) {
        struct bp_operand *operand = &call->operands[i];
        PyArray_Descr *type = PyArray_DescrFromType(PyArray_TYPE(result));
        PyObject *plain = PyArray_FromArray(operand->array, type, NPY_ARRAY_CARRAY_RO);
        if (!plain)
            return -1;
        Py_SETREF(operand->array, (PyArrayObject *)plain);
        operand->lie.data = PyArray_BYTES(operand->array);
    }
    return PyArray_CopyInto(result, call->operands[0].array);
}

/* The result of a call that is checked, as an array of its own. */
static PyArrayObject *
compute(struct bp_kernel_call *call, const struct bp_kernel *kernel, const struct bp_term *term)
{
    enum bp_status status;
    PyArrayObject *result;

    Py_BEGIN_ALLOW_THREADS
    status = bp_gather_operands(call, term);
    Py_END_ALLOW_THREADS
    if (status != BP_OK)
        return (PyArrayObject *)bp_raise(status);
    result = bp_new_result(call, term);
    if (!result || line_up(call, result) < 0) {
        Py_XDECREF(result);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    status = kernel->compute(call, PyArray_DATA(result));
    if (status == BP_OK)
        bp_read_result(call, PyArray_DATA(result));
    Py_END_ALLOW_THREADS
    if (status != BP_OK) {
        bp_raise(status);
        Py_CLEAR(result);
    }
    return result;
}

PyObject *
bp_call_kernel(PyObject *module, struct bp_kernel kernel, PyObject *const *args, Py_ssize_t count,
               PyObject *names)
{
    struct bp_kernel_call call = {0};
    struct bp_terms terms;
    PyObject *given[BP_MOST_OPERANDS + 1] = {NULL}, *result = NULL;

    bp_parse_terms(kernel.signature, &terms);
    if (read_given(&kernel, &terms, args, count, names, given) < 0)
        return NULL;
    PyObject *out = given[terms.count];
    if (take_given(&call, PyModule_GetState(module), &kernel, &terms, given) == 0 &&
        (!out || bp_check_out(&call, &terms.result, out) == 0)) {
        PyArrayObject *computed = compute(&call, &kernel, &terms.result);
        if (computed && !out)
            result = PyArray_Return(computed); /* a number where there are no axes, as NumPy's do */
        else if (computed) {
            if (PyArray_CopyInto((PyArrayObject *)out, computed) == 0)
                result = Py_NewRef(out);
            Py_DECREF(computed);
        }
    }
    bp_release_operands(&call);
    return result;
}
