#include "operands.h"

#include <assert.h>
#include <string.h>

#include "core/base/memory.h"

static const char *const no_dtype =
    "%s must be a NumPy array of float32 or float64, all arguments of one dtype, but is %S";

/* One term, which begins at `at`; where the next one does, or the end. */
static const char *
parse_term(const char *at, struct bp_term *term)
{
    size_t length = 0, shapes = 0;

    *term = (struct bp_term){.name = ""};
    for (; *at == '('; at++) {
        assert(shapes < 2);
        term->shapes[shapes++] = at;
        at = strchr(at, ')') + 1;
        if (*at != '|')
            break;
    }
    if (strncmp(at, "^T", 2) == 0) {
        term->turned = true;
        at += 2;
    }
    if (shapes > 0 && *at == ' ')
        at++;
    for (; *at && *at != ',' && *at != ' ' && *at != '?'; at++) {
        assert(length + 1 < sizeof(term->name));
        term->name[length++] = *at;
    }
    if (*at == '?') {
        term->optional = true;
        at++;
    }
    return at;
}

void
bp_parse_terms(const char *signature, struct bp_terms *terms)
{
    const char *at = signature;

    for (terms->count = 0; strncmp(at, " -> ", 4) != 0; terms->count++) {
        assert(terms->count < BP_MOST_OPERANDS && *at);
        if (terms->count > 0)
            at += 2; /* ", " */
        at = parse_term(at, &terms->arguments[terms->count]);
    }
    (void)parse_term(at + 4, &terms->result);
}

/* The letters of a shape's axes, of which *may_miss says whether the first, n, may be missing. */
static size_t
letters_of(const char *shape, char letters[4], bool *may_miss)
{
    size_t count = 0;

    *may_miss = false;
    for (; *shape != ')'; shape++)
        if (*shape >= 'a' && *shape <= 'z')
            letters[count++] = *shape;
        else if (*shape == '?')
            *may_miss = true;
    return count;
}

static bool
is_any(const char *shape)
{
    return shape && shape[1] == '.';
}

/* The axes of a shape in this call, with those lengths that are known. */
static size_t
axes_of(const struct bp_kernel_call *call, const char *shape, char letters[4])
{
    bool may_miss;
    size_t count = letters_of(shape, letters, &may_miss);

    if (may_miss && call->single)
        memmove(letters, letters + 1, --count);
    return count;
}

/* Whether an array has this shape; letters of unknown length are learnt. */
static bool
matches(struct bp_kernel_call *call, const char *shape, PyArrayObject *array)
{
    const npy_intp *lengths = PyArray_DIMS(array);
    char letters[4];
    const size_t count = axes_of(call, shape, letters);

    if ((size_t)PyArray_NDIM(array) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t *size = &call->sizes[(int)letters[i]];
        if (*size == 0)
            *size = (size_t)lengths[i];
        else if (*size != (size_t)lengths[i])
            return false;
    }
    return true;
}

/* "(n, 4)": a shape in this call, a letter for a length that is free; a new reference. */
static PyObject *
shape_wanted(const struct bp_kernel_call *call, const struct bp_term *term)
{
    PyObject *text = PyUnicode_FromString("");

    for (size_t s = 0; text && s < 2 && term->shapes[s]; s++) {
        char letters[4];
        const size_t count = axes_of(call, term->shapes[s], letters);
        Py_SETREF(text, PyUnicode_FromFormat("%U%s(", text, s > 0 ? " or " : ""));
        for (size_t i = 0; text && i < count; i++) {
            const size_t size = call->sizes[(int)letters[i]];
            const char *between = i + 1 < count ? ", " : count == 1 ? ",)" : ")";
            Py_SETREF(text, size > 0 ? PyUnicode_FromFormat("%U%zu%s", text, size, between)
                                     : PyUnicode_FromFormat("%U%c%s", text, letters[i], between));
        }
    }
    return text;
}

static int
wrong_shape(const struct bp_kernel_call *call, const struct bp_term *term, PyArrayObject *array)
{
    PyObject *wanted = shape_wanted(call, term), *given = wanted ? bp_shape_text(array) : NULL;

    if (given)
        PyErr_Format(PyExc_ValueError, "%s must have shape %U, but has shape %U", term->name,
                     wanted, given);
    Py_XDECREF(wanted);
    Py_XDECREF(given);
    return -1;
}

/* Checks an array against the shapes of its term, and says how its numbers lie. */
static int
check_shape(struct bp_kernel_call *call, const struct bp_term *term, struct bp_operand *operand)
{
    PyArrayObject *array = operand->array;
    const int axes = PyArray_NDIM(array);
    char letters[4];
    bool may_miss;

    if (is_any(term->shapes[0])) {
        PyArrayObject *first = call->operands[0].array;
        call->whole = true;
        if (!first || PyArray_SAMESHAPE(first, array))
            return 0;
        PyObject *wanted = bp_shape_text(first), *given = wanted ? bp_shape_text(array) : NULL;
        if (given)
            PyErr_Format(PyExc_ValueError, "%s must have shape %U, but has shape %U", term->name,
                         wanted, given);
        Py_XDECREF(wanted);
        Py_XDECREF(given);
        return -1;
    }
    const int most = (int)letters_of(term->shapes[term->shapes[1] ? 1 : 0], letters, &may_miss);
    const int first = (int)letters_of(term->shapes[0], letters, &may_miss);
    const int least = first - may_miss;
    if (axes < least || axes > most) {
        PyErr_Format(PyExc_ValueError, "%s must have %d to %d axes, but has %d", term->name, least,
                     most, axes);
        return -1;
    }
    if (may_miss && call->sizes['n'] == 0) { /* the first array says whether it is there */
        call->single = axes < first;
        if (call->single)
            call->sizes['n'] = 1;
    }
    if (matches(call, term->shapes[0], array))
        return 0;
    operand->second = true;
    return term->shapes[1] && matches(call, term->shapes[1], array) ? 0
                                                                    : wrong_shape(call, term, array);
}

/* Turns a matrix round: its rows are its columns. */
static void
turn(struct bp_array *lie)
{
    const struct bp_array w = *lie;

    lie->rows = w.columns;
    lie->columns = w.rows;
    lie->row_stride = w.column_stride;
    lie->column_stride = w.row_stride;
}

int
bp_take_operand(struct bp_kernel_call *call, const struct bp_module *module,
                const struct bp_term *term, PyObject *given, struct bp_operand *operand)
{
    struct bp_network *net = &call->net;

    if (!PyArray_Check(given)) {
        PyErr_Format(PyExc_TypeError, no_dtype, term->name, (PyObject *)Py_TYPE(given));
        return -1;
    }
    if (PyArray_TYPE((PyArrayObject *)given) == NPY_OBJECT) {
        PyErr_Format(PyExc_TypeError, no_dtype, term->name,
                     (PyObject *)PyArray_DESCR((PyArrayObject *)given));
        return -1;
    }
    PyArrayObject *array = bp_read_numbers(given, term->name, &operand->lie);
    if (!array)
        return -1;
    const enum bp_number type = operand->lie.type;
    if (!net->kernels && (type == BP_FLOAT || type == BP_DOUBLE))
        net->kernels = module->kernels[type == BP_FLOAT ? BP_FLOAT32 : BP_FLOAT64];
    if (!net->kernels || type != (net->kernels->dtype == BP_FLOAT32 ? BP_FLOAT : BP_DOUBLE))
        PyErr_Format(PyExc_TypeError, no_dtype, term->name, (PyObject *)PyArray_DESCR(array));
    else if (PyArray_SIZE(array) == 0)
        PyErr_Format(PyExc_ValueError, "%s must not be empty", term->name);
    else {
        PyArrayObject *const before = operand->array;
        operand->array = array;
        if (check_shape(call, term, operand) == 0) {
            if (term->turned)
                turn(&operand->lie);
            return 0;
        }
        operand->array = before;
    }
    Py_DECREF(array);
    return -1;
}

/* The shape of the result: *shape has so many lengths, at `lengths` or elsewhere. */
static int
result_shape(const struct bp_kernel_call *call, const struct bp_term *term, npy_intp lengths[4],
             const npy_intp **shape)
{
    char letters[4];

    if (call->whole) {
        *shape = PyArray_DIMS(call->operands[0].array);
        return PyArray_NDIM(call->operands[0].array);
    }
    const int axes = (int)axes_of(call, term->shapes[0], letters);
    for (int i = 0; i < axes; i++)
        lengths[i] = (npy_intp)call->sizes[(int)letters[i]];
    *shape = lengths;
    return axes;
}

int
bp_check_out(const struct bp_kernel_call *call, const struct bp_term *term, PyObject *out)
{
    PyArrayObject *array = (PyArrayObject *)out;
    npy_intp lengths[4];
    const npy_intp *shape;
    const int axes = result_shape(call, term, lengths, &shape);

    if (!PyArray_Check(out) || PyArray_TYPE(array) != bp_type_number(call->net.kernels->dtype)) {
        PyErr_Format(PyExc_TypeError, "out must be an array of the arguments' dtype, but is %R",
                     PyArray_Check(out) ? (PyObject *)PyArray_DESCR(array) : out);
        return -1;
    }
    if (PyArray_ISWRITEABLE(array) && PyArray_NDIM(array) == axes &&
        PyArray_CompareLists(PyArray_DIMS(array), shape, axes))
        return 0;
    PyObject *wanted = PyArray_IntTupleFromIntp(axes, shape);
    PyObject *given = wanted ? bp_shape_text(array) : NULL;
    if (given)
        PyErr_Format(PyExc_ValueError, "out must be writable and of shape %R, but is %s %U", wanted,
                     PyArray_ISWRITEABLE(array) ? "of shape" : "read-only, of shape", given);
    Py_XDECREF(wanted);
    Py_XDECREF(given);
    return -1;
}

PyArrayObject *
bp_new_result(const struct bp_kernel_call *call, const struct bp_term *term)
{
    npy_intp lengths[4];
    const npy_intp *shape;
    const int axes = result_shape(call, term, lengths, &shape);

    return (PyArrayObject *)PyArray_SimpleNew(axes, shape,
                                              bp_type_number(call->net.kernels->dtype));
}

enum bp_status
bp_make_panels(const struct bp_network *net, size_t rows, size_t columns,
               struct bp_operand *operand)
{
    operand->stride = bp_size_product(bp_padded(rows), net->kernels->panel);
    operand->panels = bp_allocate(bp_panels(net, columns),
                                  bp_size_product(operand->stride, net->kernels->size));
    operand->lie.rows = rows;
    operand->lie.columns = columns;
    return operand->panels ? BP_OK : BP_NO_MEMORY;
}

enum bp_status
bp_gather_operands(struct bp_kernel_call *call, const struct bp_term *result)
{
    const struct bp_network *net = &call->net;
    char letters[4];
    bool may_miss;

    if (call->whole)
        return BP_OK;
    for (size_t i = 0; i < BP_MOST_OPERANDS; i++) {
        struct bp_operand *operand = &call->operands[i];
        const struct bp_array *lie = &operand->lie;
        if (!operand->array || operand->second)
            continue;
        if (bp_make_panels(net, lie->rows, lie->columns, operand) != BP_OK)
            return BP_NO_MEMORY;
        bp_gather(net, lie, &(struct bp_rows){NULL, 0, lie->rows}, operand->panels, operand->stride);
    }
    if (letters_of(result->shapes[0], letters, &may_miss) != 2)
        return BP_OK;
    return bp_make_panels(net, call->sizes[(int)letters[0]], call->sizes[(int)letters[1]],
                          &call->result);
}

void
bp_read_result(const struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_operand *result = &call->result;

    if (result->panels)
        bp_read_panels(&call->net, result->lie.rows, result->lie.columns, result->panels,
                       result->stride, target, result->lie.columns);
}

void
bp_release_operands(struct bp_kernel_call *call)
{
    for (size_t i = 0; i < BP_MOST_OPERANDS; i++) {
        Py_XDECREF(call->operands[i].array);
        bp_free(call->operands[i].panels);
    }
    bp_free(call->result.panels);
}
