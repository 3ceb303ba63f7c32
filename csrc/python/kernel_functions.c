/* kernel_functions.c: backprop.kernels, the steps of the lesson one by one, on NumPy arrays.
 *
 * Each function turns its arrays into panels, calls the kernels that training uses, and reads the
 * result back. Docstrings stand in backprop/kernels.py. */
#include "arrays.h"
#include "numbers.h"

#include "core/base/memory.h"
#include "core/network/optimizer.h"

/* An argument: an array of the call's precision, and its numbers in panels where asked for. */
struct operand {
    PyArrayObject *array;
    struct bp_array lie;
    bp_real *panels;
    size_t stride;
};

static const char *const no_dtype =
    "%s must be a NumPy array of float32 or float64, all arguments of one dtype, but is %S";

/* Takes `object` as an operand with from `least` to `most` axes. The first one sets the precision,
 * in `net`: a network without layers, which is all that bp_gather and the like want of one. */
static int
read_operand(PyObject *module, struct bp_network *net, PyObject *object, const char *name,
             int least, int most, struct operand *operand)
{
    const struct bp_module *state = PyModule_GetState(module);

    if (!PyArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, no_dtype, name, (PyObject *)Py_TYPE(object));
        return -1;
    }
    PyArrayObject *array = bp_read_numbers(object, name, &operand->lie);
    if (!array)
        return -1;
    operand->array = array;
    const enum bp_number type = operand->lie.type;
    if (type == BP_FLOAT && !net->kernels)
        net->kernels = state->kernels[BP_FLOAT32];
    else if (type == BP_DOUBLE && !net->kernels)
        net->kernels = state->kernels[BP_FLOAT64];
    if (!net->kernels || type != (net->kernels->dtype == BP_FLOAT32 ? BP_FLOAT : BP_DOUBLE)) {
        PyErr_Format(PyExc_TypeError, no_dtype, name, (PyObject *)PyArray_DESCR(array));
        return -1;
    }
    if (PyArray_NDIM(array) < least || PyArray_NDIM(array) > most) {
        PyErr_Format(PyExc_ValueError, "%s must have %d to %d axes, but has %d", name, least, most,
                     PyArray_NDIM(array));
        return -1;
    }
    if (PyArray_SIZE(array) == 0) {
        PyErr_Format(PyExc_ValueError, "%s must not be empty", name);
        return -1;
    }
    return 0;
}

/* rows x columns panels of zeros */
static int
new_panels(const struct bp_network *net, size_t rows, size_t columns, struct operand *operand)
{
    operand->stride = bp_size_product(bp_padded(rows), net->kernels->panel);
    operand->panels =
        bp_allocate(bp_panels(net, columns), bp_size_product(operand->stride, net->kernels->size));
    if (!operand->panels) {
        bp_raise(BP_NO_MEMORY);
        return -1;
    }
    return 0;
}

static int
to_panels(const struct bp_network *net, struct operand *operand)
{
    if (new_panels(net, operand->lie.rows, operand->lie.columns, operand) < 0)
        return -1;
    bp_gather(net, &operand->lie, (struct bp_rows){NULL, 0, operand->lie.rows}, operand->panels,
              operand->stride);
    return 0;
}

static void
release(struct operand *operands, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        Py_XDECREF(operands[i].array);
        bp_free(operands[i].panels);
    }
}

/* Whether two operands have the same shape; ValueError if not. */
static int
same_shape(const struct operand *a, const struct operand *b, const char *a_name,
           const char *b_name)
{
    if (PyArray_SAMESHAPE(a->array, b->array))
        return 0;
    PyObject *one = bp_shape_text(a->array), *other = one ? bp_shape_text(b->array) : NULL;
    if (other)
        PyErr_Format(PyExc_ValueError, "%s must have the shape of %s, %U, but has shape %U", b_name,
                     a_name, one, other);
    Py_XDECREF(one);
    Py_XDECREF(other);
    return -1;
}

/* The result array: new, or `out` once it is seen to fit. A new reference. */
static PyArrayObject *
result_array(const struct bp_network *net, PyObject *out, int dimensions, const npy_intp *shape)
{
    const int type = bp_type_number(net->kernels->dtype);

    if (!out || out == Py_None)
        return (PyArrayObject *)PyArray_SimpleNew(dimensions, shape, type);
    PyArrayObject *array = (PyArrayObject *)out;
    if (!PyArray_Check(out) || PyArray_TYPE(array) != type) {
        PyErr_Format(PyExc_TypeError, "out must be an array of the arguments' dtype, but is %R",
                     PyArray_Check(out) ? (PyObject *)PyArray_DESCR(array) : out);
        return NULL;
    }
    if (!PyArray_ISWRITEABLE(array) || PyArray_NDIM(array) != dimensions ||
        !PyArray_CompareLists(PyArray_DIMS(array), shape, dimensions)) {
        PyObject *wanted = PyArray_IntTupleFromIntp(dimensions, shape);
        PyObject *given =
            wanted ? PyArray_IntTupleFromIntp(PyArray_NDIM(array), PyArray_DIMS(array)) : NULL;
        if (given)
            PyErr_Format(PyExc_ValueError, "out must be writable and of shape %R, but is %s %R",
                         wanted, PyArray_ISWRITEABLE(array) ? "of shape" : "read-only, of shape",
                         given);
        Py_XDECREF(wanted);
        Py_XDECREF(given);
        return NULL;
    }
    return (PyArrayObject *)Py_NewRef(out);
}

/* `result`, or if it is an array without axes that the caller did not give, its one number, as NumPy's
 * functions do. Takes the reference. */
static PyObject *
number_if_new(PyObject *result, PyObject *out)
{
    return result && (!out || out == Py_None) ? PyArray_Return((PyArrayObject *)result) : result;
}

/* Hands over rows x columns numbers in panels as an array of `shape`. */
static PyObject *
give_panels(const struct bp_network *net, const struct operand *from, size_t rows, size_t columns,
            PyObject *out, int dimensions, const npy_intp *shape)
{
    PyArrayObject *result = result_array(net, out, dimensions, shape);
    if (!result)
        return NULL;
    if (PyArray_ISCARRAY(result)) {
        bp_read_panels(net, rows, columns, from->panels, from->stride, PyArray_DATA(result), columns);
        return (PyObject *)result;
    }
    PyArrayObject *plain = result_array(net, NULL, dimensions, shape);
    if (plain) {
        bp_read_panels(net, rows, columns, from->panels, from->stride, PyArray_DATA(plain), columns);
        if (PyArray_CopyInto(result, plain) < 0)
            Py_CLEAR(plain);
    }
    if (!plain)
        Py_CLEAR(result);
    Py_XDECREF(plain);
    return (PyObject *)result;
}

/* (n, nodes), or (nodes,) where the first operand has one axis */
static PyObject *
give_rows(const struct bp_network *net, const struct operand *like, const struct operand *from,
          size_t columns, PyObject *out)
{
    const npy_intp shape[] = {(npy_intp)like->lie.rows, (npy_intp)columns};
    const int dimensions = PyArray_NDIM(like->array);
    return give_panels(net, from, like->lie.rows, columns, out, dimensions,
                       shape + (2 - dimensions));
}

static int
wrong_width(const char *name, const char *of, size_t expected, PyArrayObject *array)
{
    PyObject *shape = bp_shape_text(array);
    if (shape)
        PyErr_Format(PyExc_ValueError, "%s must have %s, that is %zu, but has shape %U", name, of,
                     expected, shape);
    Py_XDECREF(shape);
    return -1;
}

/* weighted_sum(a, weights, bias=None, out=None): z = a Wᵀ + b */
static PyObject *
weighted_sum(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"a", "weights", "bias", "out", NULL};
    PyObject *a, *weights, *bias = Py_None, *out = NULL, *result = NULL;
    struct bp_network net = {0};
    struct operand o[4] = {0};

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|OO:weighted_sum", names, &a, &weights,
                                     &bias, &out))
        return NULL;
    if (read_operand(module, &net, a, "a", 1, 2, &o[0]) < 0 ||
        read_operand(module, &net, weights, "weights", 2, 2, &o[1]) < 0)
        goto done;
    const size_t rows = o[0].lie.rows, inputs = o[0].lie.columns, outputs = o[1].lie.rows;
    if (o[1].lie.columns != inputs) {
        wrong_width("weights", "as many columns as a", inputs, o[1].array);
        goto done;
    }
    if (bias != Py_None) {
        if (read_operand(module, &net, bias, "bias", 1, 1, &o[2]) < 0)
            goto done;
        if (o[2].lie.columns != outputs) {
            wrong_width("bias", "an entry for each row of weights", outputs, o[2].array);
            goto done;
        }
    }
    /* a row of panels for each input: W turned round */
    struct bp_array *w = &o[1].lie;
    *w = (struct bp_array){.data = w->data,
                           .row_stride = w->column_stride,
                           .column_stride = w->row_stride,
                           .rows = inputs,
                           .columns = outputs,
                           .type = w->type,
                           .swapped = w->swapped};
    if (to_panels(&net, &o[0]) < 0 || to_panels(&net, &o[1]) < 0 ||
        new_panels(&net, rows, outputs, &o[3]) < 0)
        goto done;
    if (o[2].array) {
        /* a single row: its panels lie one behind the other, as the kernel wants a start */
        if (to_panels(&net, &o[2]) < 0)
            goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    net.kernels->product(&(struct bp_product){
        .rows = rows,
        .columns = outputs,
        .depth = inputs,
        .a = o[0].panels,
        .a_row = net.kernels->panel,
        .a_stride = o[0].stride,
        .b = o[1].panels,
        .b_row = net.kernels->panel,
        .b_stride = o[1].stride,
        .c = o[3].panels,
        .c_stride = o[3].stride,
        .start = o[2].panels,
    });
    Py_END_ALLOW_THREADS
    result = give_rows(&net, &o[0], &o[3], outputs, out);
done:
    release(o, 4);
    return result;
}

static int
name_of(PyObject *object, const char *const names[], const char *kind)
{
    const char *name = PyUnicode_Check(object) ? PyUnicode_AsUTF8(object) : NULL;
    if (!name) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_TypeError, "name must be the name of a built-in %s, not %R", kind,
                         object);
        return -1;
    }
    return bp_find_name(names, name, kind);
}

/* activation(name, z, out=None) and activation_derivative(name, z, out=None) */
static PyObject *
activation_or_slope(PyObject *module, PyObject *args, PyObject *keywords, bool slope)
{
    static char *names[] = {"name", "z", "out", NULL};
    PyObject *name, *z, *out = NULL, *result = NULL;
    struct bp_network net = {0};
    struct operand o[2] = {0};

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|O", names, &name, &z, &out))
        return NULL;
    const int found = name_of(name, bp_activation_names, "activation");
    if (found < 0)
        return NULL;
    const enum bp_activation g = (enum bp_activation)found;
    if (read_operand(module, &net, z, "z", g == BP_SOFTMAX, g == BP_SOFTMAX ? 2 : NPY_MAXDIMS,
                     &o[0]) < 0)
        goto done;
    if (g == BP_SOFTMAX) {
        const size_t rows = o[0].lie.rows, columns = o[0].lie.columns;
        if (to_panels(&net, &o[0]) < 0)
            goto done;
        net.kernels->softmax(rows, columns, o[0].panels, o[0].panels, o[0].stride);
        if (!slope) {
            result = give_rows(&net, &o[0], &o[0], columns, out);
            goto done;
        }
        const npy_intp shape[] = {(npy_intp)rows, (npy_intp)columns, (npy_intp)columns};
        const int skipped = 2 - PyArray_NDIM(o[0].array);
        PyArrayObject *jacobian = result_array(&net, NULL, 3 - skipped, shape + skipped);
        if (!jacobian)
            goto done;
        net.kernels->softmax_jacobian(rows, columns, o[0].panels, o[0].stride,
                                      PyArray_DATA(jacobian));
        PyArrayObject *target = result_array(&net, out, 3 - skipped, shape + skipped);
        if (target && PyArray_CopyInto(target, jacobian) == 0)
            result = Py_NewRef((PyObject *)target);
        Py_XDECREF(target);
        Py_DECREF(jacobian);
        goto done;
    }
    /* elementwise: any shape, as one run of numbers */
    PyArrayObject *plain = (PyArrayObject *)PyArray_FromArray(
        o[0].array, PyArray_DescrFromType(bp_type_number(net.kernels->dtype)),
        NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY);
    if (!plain)
        goto done;
    PyArrayObject *target =
        result_array(&net, out, PyArray_NDIM(o[0].array), PyArray_DIMS(o[0].array));
    if (target) {
        const size_t count = (size_t)PyArray_SIZE(plain);
        bp_real *numbers = PyArray_DATA(plain);
        bp_real *a = slope ? bp_allocate(count, net.kernels->size) : numbers;
        if (!a)
            PyErr_NoMemory();
        else {
            Py_BEGIN_ALLOW_THREADS
            net.kernels->activate(g, count, numbers, a);
            if (slope)
                net.kernels->derivative(g, count, numbers, a, NULL, numbers);
            Py_END_ALLOW_THREADS
            if (PyArray_CopyInto(target, plain) == 0)
                result = Py_NewRef((PyObject *)target);
        }
        if (slope)
            bp_free(a);
        Py_DECREF(target);
    }
    Py_DECREF(plain);
done:
    release(o, 2);
    return number_if_new(result, out);
}

static PyObject *
activation(PyObject *module, PyObject *args, PyObject *keywords)
{
    return activation_or_slope(module, args, keywords, false);
}

static PyObject *
activation_derivative(PyObject *module, PyObject *args, PyObject *keywords)
{
    return activation_or_slope(module, args, keywords, true);
}

/* loss(name, a, y, out=None) and loss_derivative(name, a, y, out=None) */
static PyObject *
loss_or_slope(PyObject *module, PyObject *args, PyObject *keywords, bool slope)
{
    static char *names[] = {"name", "a", "y", "out", NULL};
    PyObject *name, *a, *y, *out = NULL, *result = NULL;
    struct bp_network net = {0};
    struct operand o[3] = {0};
    double *losses = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO|O", names, &name, &a, &y, &out))
        return NULL;
    const int found = name_of(name, bp_loss_names, "loss");
    if (found < 0)
        return NULL;
    const enum bp_loss loss = (enum bp_loss)found;
    if (read_operand(module, &net, a, "a", 1, 2, &o[0]) < 0 ||
        read_operand(module, &net, y, "y", 1, 2, &o[1]) < 0 ||
        same_shape(&o[0], &o[1], "a", "y") < 0 || to_panels(&net, &o[0]) < 0 ||
        to_panels(&net, &o[1]) < 0)
        goto done;
    const size_t rows = o[0].lie.rows, columns = o[0].lie.columns;
    if (slope) {
        if (new_panels(&net, rows, columns, &o[2]) < 0)
            goto done;
        net.kernels->loss_derivative(loss, rows, columns, o[0].panels, o[1].panels, o[2].panels,
                                     o[0].stride);
        result = give_rows(&net, &o[0], &o[2], columns, out);
        goto done;
    }
    losses = bp_allocate(rows, sizeof(*losses));
    if (!losses) {
        PyErr_NoMemory();
        goto done;
    }
    net.kernels->loss(loss, rows, columns, NULL, o[0].panels, o[1].panels, o[0].stride, losses);
    const npy_intp count = (npy_intp)rows;
    const int dimensions = PyArray_NDIM(o[0].array) - 1;
    PyObject *doubles = bp_array_on(losses, dimensions, &count, NPY_DOUBLE);
    losses = NULL;
    PyArrayObject *target = doubles ? result_array(&net, out, dimensions, &count) : NULL;
    if (target && PyArray_CopyInto(target, (PyArrayObject *)doubles) == 0)
        result = Py_NewRef((PyObject *)target);
    Py_XDECREF(target);
    Py_XDECREF(doubles);
done:
    bp_free(losses);
    release(o, 3);
    return number_if_new(result, out);
}

static PyObject *
loss_of(PyObject *module, PyObject *args, PyObject *keywords)
{
    return loss_or_slope(module, args, keywords, false);
}

static PyObject *
loss_derivative(PyObject *module, PyObject *args, PyObject *keywords)
{
    return loss_or_slope(module, args, keywords, true);
}

/* dC_da, in panels, times da_dz: elementwise, or by the Jacobian of each row. In place. */
static int
multiply_by_da_dz(PyObject *module, struct bp_network *net, struct operand *dC_da, int dimensions,
                  PyObject *object)
{
    struct operand da_dz = {0};
    const size_t rows = dC_da->lie.rows, nodes = dC_da->lie.columns, panel = net->kernels->panel;
    int result = -1;

    if (read_operand(module, net, object, "da_dz", dimensions, dimensions + 1, &da_dz) < 0)
        goto done;
    const npy_intp *shape = PyArray_DIMS(da_dz.array);
    const bool jacobian = PyArray_NDIM(da_dz.array) == dimensions + 1;
    bool fits = (dimensions == 1 || (size_t)shape[0] == rows) &&
                (size_t)shape[dimensions - 1] == nodes &&
                (!jacobian || (size_t)shape[dimensions] == nodes);
    if (!fits) {
        PyObject *text = bp_shape_text(da_dz.array);
        if (text)
            PyErr_Format(PyExc_ValueError,
                         "da_dz must have the shape of dC/da, %zu samples by %zu nodes, or for "
                         "softmax a matrix of the nodes for each sample, but has shape %U",
                         rows, nodes, text);
        Py_XDECREF(text);
        goto done;
    }
    if (!jacobian) {
        if (to_panels(net, &da_dz) < 0)
            goto done;
        for (size_t q = 0; q < bp_panels(net, nodes); q++)
            net->kernels->multiply(rows * panel, bp_at(net, da_dz.panels, q * da_dz.stride),
                                   bp_at(net, dC_da->panels, q * dC_da->stride));
        result = 0;
        goto done;
    }
    /* delta_i = Σ_j dC_da_j da_dz[n][j][i], one product a sample */
    const npy_intp *strides = PyArray_STRIDES(da_dz.array);
    const ptrdiff_t sample_stride = dimensions == 1 ? 0 : strides[0];
    const char *data = da_dz.lie.data;
    struct operand delta = {0};
    da_dz.lie.rows = nodes;
    da_dz.lie.columns = nodes;
    da_dz.lie.row_stride = strides[dimensions - 1];
    da_dz.lie.column_stride = strides[dimensions];
    if (new_panels(net, nodes, nodes, &da_dz) < 0 || new_panels(net, rows, nodes, &delta) < 0)
        goto done;
    for (size_t n = 0; n < rows; n++) {
        da_dz.lie.data = data + (ptrdiff_t)n * sample_stride;
        bp_gather(net, &da_dz.lie, (struct bp_rows){NULL, 0, nodes}, da_dz.panels, da_dz.stride);
        net->kernels->product(&(struct bp_product){
            .rows = 1,
            .columns = nodes,
            .depth = nodes,
            .a = bp_at(net, dC_da->panels, n * panel),
            .a_row = panel,
            .a_stride = dC_da->stride,
            .b = da_dz.panels,
            .b_row = panel,
            .b_stride = da_dz.stride,
            .c = bp_at(net, delta.panels, n * panel),
            .c_stride = delta.stride,
        });
    }
    bp_free(dC_da->panels);
    dC_da->panels = delta.panels;
    dC_da->stride = delta.stride;
    result = 0;
done:
    release(&da_dz, 1);
    return result;
}

/* delta_output(dC_da, da_dz, out=None) */
static PyObject *
delta_output(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"dC_da", "da_dz", "out", NULL};
    PyObject *dC_da, *da_dz, *out = NULL, *result = NULL;
    struct bp_network net = {0};
    struct operand o = {0};

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|O:delta_output", names, &dC_da, &da_dz,
                                     &out))
        return NULL;
    if (read_operand(module, &net, dC_da, "dC_da", 1, 2, &o) == 0 && to_panels(&net, &o) == 0 &&
        multiply_by_da_dz(module, &net, &o, PyArray_NDIM(o.array), da_dz) == 0)
        result = give_rows(&net, &o, &o, o.lie.columns, out);
    release(&o, 1);
    return result;
}

/* delta_hidden(delta, weights, da_dz, out=None): (Wᵀ delta) times da_dz */
static PyObject *
delta_hidden(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"delta", "weights", "da_dz", "out", NULL};
    PyObject *delta, *weights, *da_dz, *out = NULL, *result = NULL;
    struct bp_network net = {0};
    struct operand o[3] = {0};

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO|O:delta_hidden", names, &delta, &weights,
                                     &da_dz, &out))
        return NULL;
    if (read_operand(module, &net, delta, "delta", 1, 2, &o[0]) < 0 ||
        read_operand(module, &net, weights, "weights", 2, 2, &o[1]) < 0)
        goto done;
    const size_t rows = o[0].lie.rows, nodes = o[1].lie.columns;
    if (o[1].lie.rows != o[0].lie.columns) {
        wrong_width("weights", "a row for each column of delta", o[0].lie.columns, o[1].array);
        goto done;
    }
    if (to_panels(&net, &o[0]) < 0 || to_panels(&net, &o[1]) < 0 ||
        new_panels(&net, rows, nodes, &o[2]) < 0)
        goto done;
    Py_BEGIN_ALLOW_THREADS
    net.kernels->product(&(struct bp_product){
        .rows = rows,
        .columns = nodes,
        .depth = o[0].lie.columns,
        .a = o[0].panels,
        .a_row = net.kernels->panel,
        .a_stride = o[0].stride,
        .b = o[1].panels,
        .b_row = net.kernels->panel,
        .b_stride = o[1].stride,
        .c = o[2].panels,
        .c_stride = o[2].stride,
    });
    Py_END_ALLOW_THREADS
    o[2].lie.rows = rows;
    o[2].lie.columns = nodes;
    if (multiply_by_da_dz(module, &net, &o[2], PyArray_NDIM(o[0].array), da_dz) == 0)
        result = give_rows(&net, &o[0], &o[2], nodes, out);
done:
    release(o, 3);
    return result;
}

/* weight_gradient(delta, a, out=None): the mean over n of delta_j a_k */
static PyObject *
weight_gradient(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"delta", "a", "out", NULL};
    PyObject *delta, *a, *out = NULL, *result = NULL;
    struct bp_network net = {0};
    struct operand o[3] = {0};
    double *shares = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|O:weight_gradient", names, &delta, &a,
                                     &out))
        return NULL;
    if (read_operand(module, &net, delta, "delta", 1, 2, &o[0]) < 0 ||
        read_operand(module, &net, a, "a", 1, 2, &o[1]) < 0)
        goto done;
    const size_t rows = o[0].lie.rows, outputs = o[0].lie.columns, inputs = o[1].lie.columns;
    if (o[1].lie.rows != rows || PyArray_NDIM(o[0].array) != PyArray_NDIM(o[1].array)) {
        wrong_width("a", "as many samples as delta", rows, o[1].array);
        goto done;
    }
    shares = bp_allocate(rows, sizeof(*shares));
    if (!shares) {
        PyErr_NoMemory();
        goto done;
    }
    for (size_t n = 0; n < rows; n++)
        shares[n] = 1 / (double)rows;
    /* computed turned round, a row for each output */
    if (to_panels(&net, &o[0]) < 0 || to_panels(&net, &o[1]) < 0 ||
        new_panels(&net, outputs, inputs, &o[2]) < 0)
        goto done;
    Py_BEGIN_ALLOW_THREADS
    net.kernels->scale_rows(rows, bp_panels(&net, outputs), shares, o[0].panels, o[0].stride);
    net.kernels->outer(&(struct bp_outer){
        .rows = outputs,
        .columns = inputs,
        .depth = rows,
        .a = o[0].panels,
        .a_stride = o[0].stride,
        .delta = o[1].panels,
        .delta_stride = o[1].stride,
        .c = o[2].panels,
        .c_row = net.kernels->panel,
        .c_stride = o[2].stride,
    });
    Py_END_ALLOW_THREADS
    const npy_intp shape[] = {(npy_intp)outputs, (npy_intp)inputs};
    result = give_panels(&net, &o[2], outputs, inputs, out, 2, shape);
done:
    bp_free(shares);
    release(o, 3);
    return result;
}

/* sgd_update(weights, gradient, lr, out=None): weights - lr gradient */
static PyObject *
sgd_update(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"weights", "gradient", "lr", "out", NULL};
    PyObject *weights, *gradient, *out = NULL, *result = NULL;
    struct bp_network net = {0};
    struct operand o[2] = {0};
    PyArrayObject *w = NULL, *g = NULL, *target = NULL;
    double rate;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOd|O:sgd_update", names, &weights, &gradient,
                                     &rate, &out))
        return NULL;
    if (read_operand(module, &net, weights, "weights", 1, NPY_MAXDIMS, &o[0]) < 0 ||
        read_operand(module, &net, gradient, "gradient", 1, NPY_MAXDIMS, &o[1]) < 0 ||
        same_shape(&o[0], &o[1], "weights", "gradient") < 0)
        goto done;
    const int type = bp_type_number(net.kernels->dtype);
    target = result_array(&net, out, PyArray_NDIM(o[0].array), PyArray_DIMS(o[0].array));
    w = target ? (PyArrayObject *)PyArray_FromArray(o[0].array, PyArray_DescrFromType(type),
                                                    NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY)
               : NULL;
    g = w ? (PyArrayObject *)PyArray_FromArray(o[1].array, PyArray_DescrFromType(type),
                                               NPY_ARRAY_CARRAY)
          : NULL;
    if (!g)
        goto done;
    const struct bp_optimizer sgd = {.rule = BP_SGD, .rate = rate, .clip_value = INFINITY};
    const struct bp_optimizer_step rule = bp_next_step(&sgd, 0);
    Py_BEGIN_ALLOW_THREADS
    net.kernels->optimize(&rule, (size_t)PyArray_SIZE(w), PyArray_DATA(w), PyArray_DATA(g),
                          sgd.state);
    Py_END_ALLOW_THREADS
    if (PyArray_CopyInto(target, w) == 0)
        result = Py_NewRef((PyObject *)target);
done:
    Py_XDECREF(target);
    Py_XDECREF(w);
    Py_XDECREF(g);
    release(o, 2);
    return result;
}

#define KEYWORDS(function) _PyCFunction_CAST(function), METH_VARARGS | METH_KEYWORDS

PyMethodDef bp_kernel_methods[] = {
    {"weighted_sum", KEYWORDS(weighted_sum), NULL},
    {"activation", KEYWORDS(activation), NULL},
    {"activation_derivative", KEYWORDS(activation_derivative), NULL},
    {"loss", KEYWORDS(loss_of), NULL},
    {"loss_derivative", KEYWORDS(loss_derivative), NULL},
    {"delta_output", KEYWORDS(delta_output), NULL},
    {"delta_hidden", KEYWORDS(delta_hidden), NULL},
    {"weight_gradient", KEYWORDS(weight_gradient), NULL},
    {"sgd_update", KEYWORDS(sgd_update), NULL},
    {"fma_peak", bp_fma_peak_function, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
