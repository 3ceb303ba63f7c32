#include "kernel_functions.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/network/optimizer.h"
#include "kernel_call.h"

/* c = a b + start, of panels: b has a row for each column of a. */
static void
multiply_panels(const struct bp_network *net, const struct bp_operand *a,
                const struct bp_operand *b, const struct bp_operand *c, const bp_real *start)
{
    net->kernels->product(&(struct bp_product){
        .rows = a->lie.rows,
        .columns = b->lie.columns,
        .depth = a->lie.columns,
        .a = a->panels,
        .a_row = net->kernels->panel,
        .a_stride = a->stride,
        .b = b->panels,
        .b_row = net->kernels->panel,
        .b_stride = b->stride,
        .c = c->panels,
        .c_stride = c->stride,
        .start = start,
    });
}

/* z = a Wᵀ + b */
static enum bp_status
weighted_sum(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_operand *o = call->operands;
    (void)target;
    multiply_panels(&call->net, &o[0], &o[1], &call->result, o[2].panels);
    return BP_OK;
}

static enum bp_status
activation(struct bp_kernel_call *call, bp_real *target)
{
    const size_t count = (size_t)PyArray_SIZE(call->operands[0].array);
    call->net.kernels->activate((enum bp_activation)call->function, count, target, target);
    return BP_OK;
}

static enum bp_status
softmax(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_operand *z = call->operands;
    (void)target;
    call->net.kernels->softmax(z->lie.rows, z->lie.columns, z->panels, call->result.panels,
                               z->stride);
    return BP_OK;
}

static enum bp_status
activation_derivative(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_kernels *kernels = call->net.kernels;
    const enum bp_activation g = (enum bp_activation)call->function;
    const size_t count = (size_t)PyArray_SIZE(call->operands[0].array);
    bp_real *a = bp_allocate(count, kernels->size);

    if (!a)
        return BP_NO_MEMORY;
    kernels->activate(g, count, target, a);
    kernels->derivative(g, count, target, a, NULL, target);
    bp_free(a);
    return BP_OK;
}

/* da_j/dz_i, a matrix for each sample */
static enum bp_status
softmax_derivative(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_operand *z = call->operands;
    const size_t rows = z->lie.rows, columns = z->lie.columns;

    call->net.kernels->softmax(rows, columns, z->panels, z->panels, z->stride);
    call->net.kernels->softmax_jacobian(rows, columns, z->panels, z->stride, target);
    return BP_OK;
}

static enum bp_status
loss(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_operand *a = &call->operands[0], *y = &call->operands[1];
    const struct bp_kernels *kernels = call->net.kernels;
    double *losses = bp_allocate(a->lie.rows, sizeof(*losses));

    if (!losses)
        return BP_NO_MEMORY;
    kernels->loss((enum bp_loss)call->function, a->lie.rows, a->lie.columns, NULL, a->panels,
                  y->panels, a->stride, losses);
    for (size_t n = 0; n < a->lie.rows; n++)
        if (kernels->dtype == BP_FLOAT32)
            ((float *)target)[n] = (float)losses[n];
        else
            ((double *)target)[n] = losses[n];
    bp_free(losses);
    return BP_OK;
}

static enum bp_status
loss_derivative(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_operand *a = &call->operands[0], *y = &call->operands[1];
    (void)target;
    call->net.kernels->loss_derivative((enum bp_loss)call->function, a->lie.rows, a->lie.columns,
                                       a->panels, y->panels, call->result.panels, a->stride);
    return BP_OK;
}

/* delta_i = Σ_j dC_da_j da_dz[n][j][i], one product a sample; delta may not be dC_da. */
static enum bp_status
multiply_by_jacobians(const struct bp_kernel_call *call, const struct bp_operand *dC_da,
                      const struct bp_operand *da_dz, const struct bp_operand *delta)
{
    const struct bp_network *net = &call->net;
    const size_t panel = net->kernels->panel, nodes = dC_da->lie.columns;
    const int axes = PyArray_NDIM(da_dz->array);
    const npy_intp *strides = PyArray_STRIDES(da_dz->array);
    const ptrdiff_t sample_stride = call->single ? 0 : strides[0];
    struct bp_operand one = {.lie = da_dz->lie};

    if (bp_make_panels(net, nodes, nodes, &one) != BP_OK)
        return BP_NO_MEMORY;
    one.lie.row_stride = strides[axes - 2];
    one.lie.column_stride = strides[axes - 1];
    for (size_t n = 0; n < dC_da->lie.rows; n++) {
        struct bp_operand row = *dC_da, out = *delta;
        one.lie.data = da_dz->lie.data + (ptrdiff_t)n * sample_stride;
        bp_gather(net, &one.lie, &(struct bp_rows){NULL, 0, nodes}, one.panels, one.stride);
        row.lie.rows = 1;
        row.panels = bp_at(net, dC_da->panels, n * panel);
        out.panels = bp_at(net, delta->panels, n * panel);
        multiply_panels(net, &row, &one, &out, NULL);
    }
    bp_free(one.panels);
    return BP_OK;
}

/* The result = dC_da times da_dz: elementwise, or by the Jacobian of each row. */
static enum bp_status
multiply_by_da_dz(const struct bp_kernel_call *call, const struct bp_operand *dC_da,
                  const struct bp_operand *da_dz)
{
    const struct bp_network *net = &call->net;
    const struct bp_operand *delta = &call->result;
    const size_t count = delta->lie.rows * net->kernels->panel;

    if (da_dz->second)
        return multiply_by_jacobians(call, dC_da, da_dz, delta);
    for (size_t q = 0; q < bp_panels(net, delta->lie.columns); q++) {
        bp_real *to = bp_at(net, delta->panels, q * delta->stride);
        memcpy(to, bp_const_at(net, dC_da->panels, q * dC_da->stride), count * net->kernels->size);
        net->kernels->multiply(count, bp_const_at(net, da_dz->panels, q * da_dz->stride), to);
    }
    return BP_OK;
}

static enum bp_status
delta_output(struct bp_kernel_call *call, bp_real *target)
{
    (void)target;
    return multiply_by_da_dz(call, &call->operands[0], &call->operands[1]);
}

/* (δ W) times da_dz */
static enum bp_status
delta_hidden(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_operand *o = call->operands;
    struct bp_operand dC_da = {0};
    enum bp_status status =
        bp_make_panels(&call->net, o[0].lie.rows, o[1].lie.columns, &dC_da);
    (void)target;

    if (status == BP_OK) {
        multiply_panels(&call->net, &o[0], &o[1], &dC_da, NULL);
        status = multiply_by_da_dz(call, &dC_da, &o[2]);
    }
    bp_free(dC_da.panels);
    return status;
}

/* the mean over n of delta_j a_k */
static enum bp_status
weight_gradient(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_operand *delta = &call->operands[0], *a = &call->operands[1];
    const struct bp_network *net = &call->net;
    const size_t rows = delta->lie.rows;
    double *factors = bp_allocate(rows, sizeof(*factors));
    (void)target;

    if (!factors)
        return BP_NO_MEMORY;
    for (size_t n = 0; n < rows; n++)
        factors[n] = 1 / (double)rows;
    net->kernels->scale_rows(rows, bp_panels(net, delta->lie.columns), factors, delta->panels,
                             delta->stride);
    net->kernels->outer(&(struct bp_outer){
        .rows = delta->lie.columns,
        .columns = a->lie.columns,
        .depth = rows,
        .a = delta->panels,
        .a_stride = delta->stride,
        .delta = a->panels,
        .delta_stride = a->stride,
        .c = call->result.panels,
        .c_row = net->kernels->panel,
        .c_stride = call->result.stride,
    });
    bp_free(factors);
    return BP_OK;
}

/* weights - lr gradient */
static enum bp_status
sgd_update(struct bp_kernel_call *call, bp_real *target)
{
    const struct bp_optimizer sgd = {
        .rule = BP_SGD, .rate = call->number, .clip_value = INFINITY};
    const struct bp_optimizer_step rule = bp_next_step(&sgd, 0);
    const size_t count = (size_t)PyArray_SIZE(call->operands[0].array);

    call->net.kernels->optimize(&rule, count, target, call->operands[1].lie.data, sgd.state);
    return BP_OK;
}

#define KERNEL(function, ...)                                                                      \
    static PyObject *function##_method(PyObject *module, PyObject *const *args, Py_ssize_t count,  \
                                       PyObject *names)                                            \
    {                                                                                              \
        return bp_call_kernel(module, (struct bp_kernel){#function "()", __VA_ARGS__}, args, count,      \
                           names);                                                                 \
    }

KERNEL(weighted_sum, "(n?,k) a, (j,k)^T weights, (j) bias? -> (n?,j)", weighted_sum, NULL, NULL)
KERNEL(activation, "activation, (...) z -> (...)", activation, "activation, (n?,j) z -> (n?,j)",
       softmax)
KERNEL(activation_derivative, "activation, (...) z -> (...)", activation_derivative,
       "activation, (n?,j) z -> (n?,j,j)", softmax_derivative)
KERNEL(loss, "loss, (n?,j) a, (n?,j) y -> (n?)", loss, NULL, NULL)
KERNEL(loss_derivative, "loss, (n?,j) a, (n?,j) y -> (n?,j)", loss_derivative, NULL, NULL)
KERNEL(delta_output, "(n?,j) dC_da, (n?,j)|(n?,j,j) da_dz -> (n?,j)", delta_output, NULL, NULL)
KERNEL(delta_hidden, "(n?,j) delta, (j,k) weights, (n?,k)|(n?,k,k) da_dz -> (n?,k)", delta_hidden,
       NULL, NULL)
KERNEL(weight_gradient, "(n?,j) delta, (n?,k) a -> (j,k)", weight_gradient, NULL, NULL)
KERNEL(sgd_update, "(...) weights, (...) gradient, lr -> (...)", sgd_update, NULL, NULL)

PyMethodDef bp_kernel_methods[] = {
    {"weighted_sum", BP_FAST(weighted_sum_method), NULL},
    {"activation", BP_FAST(activation_method), NULL},
    {"activation_derivative", BP_FAST(activation_derivative_method), NULL},
    {"loss", BP_FAST(loss_method), NULL},
    {"loss_derivative", BP_FAST(loss_derivative_method), NULL},
    {"delta_output", BP_FAST(delta_output_method), NULL},
    {"delta_hidden", BP_FAST(delta_hidden_method), NULL},
    {"weight_gradient", BP_FAST(weight_gradient_method), NULL},
    {"sgd_update", BP_FAST(sgd_update_method), NULL},
    {NULL, NULL, 0, NULL},
};
