#include "lanes.h"

#include "backward.h"
#include "core/network/functions.h"
#include "input_layer.h"
#include "losses.h"

bool
bp_fits_lanes(const struct bp_network *net, size_t rows)
{
    if (!bp_takes_groups(net) || rows < BP_MANY_ROWS || net->custom || net->dropout ||
        net->restraint.rated || net->restraint.masked)
        return false;
    for (size_t l = 0; l + 1 < net->count; l++)
        if (net->layers[l].activation == BP_SOFTMAX)
            return false;
    return true;
}

/* A layer turned round: [panels][nodes][P] */
struct turned {
    bp_real *numbers;
    size_t stride;
};

static struct turned
layer_at(const struct bp_network *net, bp_real *numbers, size_t nodes)
{
    return (struct turned){numbers, nodes * net->kernels->panel};
}

/* Whether the last layer is turned round, too: its functions know missing targets, and softmax with
 * other losses than its own, in panels only. */
static bool
is_turned(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    return !pass->masked &&
           (net->layers[net->count - 1].activation != BP_SOFTMAX || net->fused);
}

/* What layer l reads. */
static struct turned
input_at(const struct bp_pass *pass, size_t l)
{
    const struct bp_workspace *ws = pass->ws;
    const size_t inputs = pass->net->layers[l].inputs;
    return layer_at(pass->net, l == 0 ? ws->turned.dC_da : ws->nodes[l - 1].a, inputs);
}

static void
turn(const struct bp_pass *pass, size_t nodes, const bp_real *panels, struct turned to)
{
    pass->net->kernels->transpose(pass->rows, nodes, panels, pass->ws->stride, to.numbers, to.stride);
}

static void
turn_back(const struct bp_pass *pass, size_t nodes, struct turned from, bp_real *panels)
{
    pass->net->kernels->transpose(nodes, pass->rows, from.numbers, from.stride, panels,
                                  pass->ws->stride);
}

static struct turned
y_at(const struct bp_pass *pass)
{
    return layer_at(pass->net, pass->ws->turned.delta[1], bp_targets(pass->net));
}

/* Whether y needs neither conversion nor a place in panels. */
static bool
interleaves_targets(const struct bp_pass *pass, const struct bp_data *data)
{
    return is_turned(pass) && !data->labels && bp_is_plain_array(pass->net, &data->y);
}

/* Rows order[i P + b] as sample i of block b, straight to where they lie turned round. */
static void
interleave(const struct bp_pass *pass, const struct bp_array *array, const uint32_t order[],
           struct turned to)
{
    enum { MOST_LANES = BP_PANEL_BYTES / sizeof(float) };
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel;
    const bp_real *rows[MOST_LANES];

    for (size_t n = 0; n < pass->rows; n += panel) {
        for (size_t b = 0; b < panel; b++)
            rows[b] = array->data + (ptrdiff_t)order[n + b] * array->row_stride;
        net->kernels->interleave(panel, array->columns, rows,
                                 bp_at(net, to.numbers, n / panel * to.stride));
    }
}

void
bp_lanes_load(struct bp_pass *pass, const struct bp_data *data, struct bp_rows rows, bool targets)
{
    enum { MOST_ROWS = BP_BLOCK_ROWS * BP_PANEL_BYTES / sizeof(float) };
    const struct bp_network *net = pass->net;
    uint32_t order[MOST_ROWS];

    pass->rows = bp_lanes_rows(net);
    for (size_t n = 0; n < pass->rows; n++) {
        const size_t at = rows.first + (n < rows.count ? n : 0);
        order[bp_lanes_row(net, n)] = rows.order ? rows.order[at] : (uint32_t)at;
    }
    if (bp_is_plain_array(net, &data->x) && (!targets || interleaves_targets(pass, data))) {
        interleave(pass, &data->x, order, input_at(pass, 0));
        if (targets)
            interleave(pass, &data->y, order, y_at(pass));
        return;
    }
    bp_load_batch(pass, data, &(struct bp_rows){order, 0, pass->rows}, targets);
    turn(pass, net->layers[0].inputs, pass->ws->x, input_at(pass, 0));
    if (targets && is_turned(pass))
        turn(pass, bp_targets(net), pass->ws->y, y_at(pass));
}

/* The last layer's z, turned back, and a. */
static void
finish_in_panels(const struct bp_pass *pass, struct turned z)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t last = net->count - 1, outputs = net->layers[last].outputs;
    const struct bp_nodes *nodes = &ws->nodes[last];

    turn_back(pass, outputs, z, nodes->z);
    if (net->layers[last].activation == BP_SOFTMAX)
        net->kernels->softmax(pass->rows, outputs, nodes->z, nodes->a, ws->stride);
    else
        bp_apply_activation(net, last, 0, bp_panels(net, outputs), pass->rows, nodes->z, nodes->a,
                            ws->stride);
}

void
bp_lanes_forward(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_workspace *ws = pass->ws;
    const size_t panels = pass->rows / kernels->panel, last = net->count - 1;

    for (size_t l = 0; l <= last; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);
        const struct bp_nodes *nodes = &ws->nodes[l];
        const struct turned a = input_at(pass, l);
        const bool turned = l < last || is_turned(pass);
        const struct turned z =
            layer_at(net, turned ? nodes->z : ws->turned.delta[0], layer->outputs);

        kernels->lanes_product(&(struct bp_lanes_product){
            .nodes = layer->outputs,
            .depth = layer->inputs,
            .panels = panels,
            .w = weights.w,
            .w_row = weights.row,
            .w_stride = weights.stride,
            .start = weights.bias,
            .a = a.numbers,
            .a_stride = a.stride,
            .z = z.numbers,
            .z_stride = z.stride,
        });
        if (!turned)
            finish_in_panels(pass, z);
        else if (layer->activation == BP_SOFTMAX)
            kernels->lanes_softmax(panels, layer->outputs, nodes->z, nodes->a);
        else
            kernels->activate(layer->activation, panels * z.stride, nodes->z, nodes->a);
    }
}

struct bp_loss_sums
bp_lanes_losses(const struct bp_pass *pass, const struct bp_data *data, struct bp_rows rows)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_workspace *ws = pass->ws;
    const struct bp_nodes *nodes = &ws->nodes[net->count - 1];
    const size_t outputs = net->layers[net->count - 1].outputs, panels = pass->rows / kernels->panel;
    struct bp_loss_sums group = {0};

    if (!is_turned(pass))
        bp_losses(pass);
    else { /* a NaN is no class, neither as an output nor as a target */
        const bp_real *y = y_at(pass).numbers;
        kernels->lanes_loss(net->loss, net->fused, panels, outputs, nodes->z, nodes->a, y,
                            ws->losses);
        kernels->lanes_classify(panels, outputs, nodes->a, -1, ws->classes);
        kernels->lanes_classify(panels, outputs, y, -2, ws->wanted);
    }
    for (size_t first = 0; first < rows.count; first += BP_BLOCK_ROWS) {
        const size_t left = rows.count - first, row = bp_lanes_row(pass->net, first);
        const size_t count = left < BP_BLOCK_ROWS ? left : BP_BLOCK_ROWS;
        struct bp_loss_sums block = {0};
        for (size_t i = 0; i < count; i++) {
            const size_t at = row + i * pass->net->kernels->panel;
            const double weight = bp_weight_of(data, rows, first + i);
            block.loss += weight * ws->losses[at];
            block.weight += weight;
            block.right += ws->classes[at] == ws->wanted[at];
        }
        bp_add_loss_sums(&group, &block);
    }
    return group;
}

void
bp_lanes_outputs(const struct bp_pass *pass, size_t count, bp_real *out)
{
    const struct bp_network *net = pass->net;
    const struct bp_workspace *ws = pass->ws;
    const size_t last = net->count - 1, outputs = net->layers[last].outputs;
    const bp_real *panels = ws->nodes[last].a;

    if (is_turned(pass)) {
        turn_back(pass, outputs, layer_at(net, ws->nodes[last].a, outputs), ws->y);
        panels = ws->y;
    }
    for (size_t n = 0; n < count; n++)
        bp_read_panels(net, 1, outputs,
                       bp_const_at(net, panels, bp_lanes_row(net, n) * net->kernels->panel),
                       ws->stride, bp_at(net, out, n * outputs), outputs);
}

void
bp_lanes_classes(const struct bp_pass *pass, size_t count, int64_t *out)
{
    const struct bp_kernels *kernels = pass->net->kernels;
    const struct bp_workspace *ws = pass->ws;
    const size_t last = pass->net->count - 1, outputs = pass->net->layers[last].outputs;

    if (is_turned(pass))
        kernels->lanes_classify(pass->rows / kernels->panel, outputs, ws->nodes[last].a, 0,
                                ws->classes);
    else
        kernels->classify(pass->rows, outputs, ws->nodes[last].a, ws->stride, 0, ws->classes);
    for (size_t n = 0; n < count; n++)
        out[n] = ws->classes[bp_lanes_row(pass->net, n)];
}

/* delta of the last layer. */
static struct turned
last_delta(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const size_t outputs = net->layers[net->count - 1].outputs;
    const struct bp_workspace *ws = pass->ws;

    return layer_at(net, is_turned(pass) ? ws->nodes[net->count - 1].delta : ws->turned.delta[1],
                    outputs);
}

void
bp_lanes_delta(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_layer *layer = &net->layers[net->count - 1];
    const struct bp_nodes *nodes = &pass->ws->nodes[net->count - 1];
    const size_t panels = pass->rows / kernels->panel;
    const bp_real *y = y_at(pass).numbers;

    if (!is_turned(pass)) {
        bp_delta_from_loss(pass);
        turn(pass, layer->outputs, nodes->delta, last_delta(pass));
        return;
    }
    if (net->fused)
        kernels->lanes_fused_delta(net->loss, panels, layer->outputs, nodes->a, y, nodes->delta);
    else {
        kernels->lanes_loss_derivative(net->loss, panels, layer->outputs, nodes->a, y, nodes->dC_da);
        kernels->derivative(layer->activation, pass->rows * layer->outputs, nodes->z, nodes->a,
                            nodes->dC_da, nodes->delta);
    }
    kernels->lanes_scale(panels, layer->outputs, pass->ws->factors, nodes->delta);
}

/* ∂C/∂a of what layer l reads. */
static void
propagate(const struct bp_pass *pass, size_t l, struct turned delta, struct turned dC_da)
{
    const struct bp_network *net = pass->net;
    const struct bp_weights weights = bp_layer_weights(net, l, pass->parameters);

    net->kernels->lanes_product(&(struct bp_lanes_product){
        .nodes = net->layers[l].inputs,
        .depth = net->layers[l].outputs,
        .panels = pass->rows / net->kernels->panel,
        .back = true,
        .w = weights.w,
        .w_row = weights.row,
        .w_stride = weights.stride,
        .a = delta.numbers,
        .a_stride = delta.stride,
        .z = dC_da.numbers,
        .z_stride = dC_da.stride,
    });
}

void
bp_lanes_backward(const struct bp_pass *pass, struct bp_vector gradient, bp_real *inputs)
{
    const struct bp_network *net = pass->net;
    const struct bp_kernels *kernels = net->kernels;
    const struct bp_workspace *ws = pass->ws;
    const size_t panels = pass->rows / kernels->panel;
    struct turned delta = last_delta(pass);

    for (size_t l = net->count; l-- > 0;) {
        const struct bp_layer *layer = &net->layers[l];
        const struct bp_weights target = bp_layer_weights(net, l, gradient);
        const struct turned a = input_at(pass, l);

        kernels->lanes_outer(&(struct bp_lanes_outer){
            .rows = layer->inputs,
            .columns = layer->outputs,
            .panels = panels,
            .a = a.numbers,
            .a_stride = a.stride,
            .delta = delta.numbers,
            .delta_stride = delta.stride,
            .c = target.w,
            .c_row = target.row,
            .c_stride = target.stride,
            .bias = target.bias,
        });
        if (l > 0) {
            const struct bp_nodes *before = &ws->nodes[l - 1];
            const struct turned dC_da = layer_at(net, before->dC_da, layer->inputs);
            propagate(pass, l, delta, dC_da);
            delta = layer_at(net, before->delta, layer->inputs);
            kernels->derivative(net->layers[l - 1].activation, panels * delta.stride, before->z,
                                before->a, dC_da.numbers, delta.numbers);
        }
        else if (inputs) {
            const struct turned dC_dx = layer_at(net, ws->turned.delta[0], layer->inputs);
            propagate(pass, l, delta, dC_dx);
            kernels->lanes_outer(&(struct bp_lanes_outer){
                .columns = layer->inputs,
                .panels = panels,
                .delta = dC_dx.numbers,
                .delta_stride = dC_dx.stride,
                .bias = inputs,
            });
        }
    }
}

size_t
bp_lanes_first_not_finite(const struct bp_pass *pass)
{
    const struct bp_network *net = pass->net;
    const size_t last = net->count - 1;

    for (size_t l = 0; l < last + is_turned(pass); l++)
        if (!net->kernels->all_finite(pass->rows * net->layers[l].outputs, pass->ws->nodes[l].a))
            return l;
    for (size_t q = 0; !is_turned(pass) && q < bp_panels(net, net->layers[last].outputs); q++)
        if (!net->kernels->all_finite(pass->rows * net->kernels->panel,
                                      bp_at(net, pass->ws->nodes[last].a, q * pass->ws->stride)))
            return last;
    return net->count;
}
