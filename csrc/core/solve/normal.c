/* ∂r_nj/∂w_ik^(l) = a_k^(l-1) δ_i^(l), where δ is carried back from ∂r_nj/∂a_j: a product of two
 * vectors of P samples for each parameter, once a and δ are turned round. */
#include "normal.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/network/freedom.h"

enum { P = BP_PANEL(double) };

/* Parameters that move, at least 1: columns of J. */
static size_t
order_of(const struct bp_network *net)
{
    const size_t count = bp_free_parameters(net);
    return bp_larger(count, 1);
}

struct bp_normal_shape
bp_normal_shape(const struct bp_network *net, size_t samples, bool primal)
{
    enum { NUMBERS = 1 << 17, LEAST = 32, MULTIPLE = 8 };
    const size_t outputs = net->layers[net->count - 1].outputs, count = order_of(net);
    const size_t fit = NUMBERS / count / MULTIPLE * MULTIPLE, most = bp_block_rows(net);
    struct bp_normal_shape s = {.rows = fit < LEAST ? LEAST : bp_smaller(fit, most)};

    s.rows = bp_smaller(s.rows, samples);
    s.blocks = bp_quotient_up(samples, s.rows);
    s.room = bp_matrix_panels(s.rows) * P;
    s.slots = bp_size_product(bp_size_product(s.blocks, outputs), s.room);
    s.dual = !primal && s.slots <= count / 4 * 3;
    s.order = s.dual ? s.slots : count;
    const size_t of_j = bp_size_product(count, s.dual ? s.slots : 2 * s.room);
    s.bytes = bp_size_product(bp_size_sum(bp_size_product(2, bp_matrix_numbers(s.order)), of_j),
                              sizeof(double));
    return s;
}

/* Where inputs and delta of each layer begin among the turned ones; their number. */
static size_t
place_nodes(const struct bp_network *net, size_t rows, size_t *places)
{
    size_t end = 0;

    for (size_t l = 0; l < net->count; l++) {
        const size_t nodes[] = {net->layers[l].inputs, net->layers[l].outputs};
        for (size_t i = 0; i < 2; i++) {
            places[2 * l + i] = end;
            end += bp_matrix_panels(rows) * (bp_matrix_panels(nodes[i]) * P) * P;
        }
    }
    return end;
}

enum bp_status
bp_normal_init(struct bp_normal *n, struct bp_residuals *residuals, bool dual)
{
    const struct bp_objective *o = residuals->objective;
    const struct bp_network *net = o->asked->net;
    const size_t count = order_of(net), order = dual ? residuals->slots : count;
    const size_t turned_rows = dual ? residuals->slots : residuals->room;
    const size_t numbers = bp_matrix_numbers(order);

    *n = (struct bp_normal){.residuals = residuals, .dual = dual};
    n->turned_stride = bp_size_product(bp_matrix_panels(count) * P | 1, P);
    n->panels_stride = (residuals->room | 1) * P;
    n->matrix = (struct bp_matrix){
        .kernels = net->kernels,
        .crew = o->crew,
        .order = order,
        .stride = bp_matrix_stride(order),
    };
    n->factor = n->matrix;
    n->matrix.numbers = bp_allocate(numbers, sizeof(double));
    n->factor.numbers = bp_allocate(numbers, sizeof(double));
    n->factor.scratch = bp_allocate(bp_matrix_scratch(order), sizeof(double));
    n->turned =
        bp_allocate(bp_size_product(bp_matrix_panels(turned_rows), n->turned_stride), sizeof(double));
    if (!dual) {
        const size_t panels = bp_size_product(bp_matrix_panels(count), n->panels_stride);
        n->panels = bp_allocate(bp_size_sum(panels, bp_size_product(P, P)), sizeof(double));
    }
    n->nodes_at = bp_allocate(bp_size_product(2, net->count), sizeof(*n->nodes_at));
    if (!n->nodes_at)
        return BP_NO_MEMORY;
    n->nodes = bp_allocate(place_nodes(net, o->rows, n->nodes_at), sizeof(double));
    const bool enough = n->matrix.numbers && n->factor.numbers && n->factor.scratch && n->turned &&
                        n->nodes && (dual || n->panels);
    return enough ? BP_OK : BP_NO_MEMORY;
}

void
bp_normal_free(struct bp_normal *n)
{
    bp_free(n->matrix.numbers);
    bp_free(n->factor.numbers);
    bp_free(n->factor.scratch);
    bp_free(n->turned);
    bp_free(n->panels);
    bp_free(n->nodes);
    bp_free(n->nodes_at);
}

/* the distance between two panels of turned nodes */
static size_t
turned_nodes(size_t nodes)
{
    return bp_matrix_panels(nodes) * P * P;
}

/* out[k][j][t] = a[k][t] delta[j][t]: P samples' derivatives by one layer's weights */
static void
multiply_nodes(size_t inputs, size_t outputs, const double *a, const double *delta, double *out)
{
    for (size_t k = 0; k < inputs; k++, out += outputs * P) {
        double of_k[P];
        memcpy(of_k, a + k * P, sizeof(of_k));
        for (size_t j = 0; j < outputs; j++)
            for (size_t t = 0; t < P; t++)
                out[j * P + t] = of_k[t] * delta[j * P + t];
    }
}

/* likewise by weights that are free */
static void
multiply_free_nodes(size_t inputs, size_t outputs, const unsigned char *mask, const double *a,
                    const double *delta, double *out)
{
    for (size_t k = 0; k < inputs; k++)
        for (size_t j = 0; j < outputs; j++)
            if (mask[k * outputs + j]) {
                for (size_t t = 0; t < P; t++)
                    out[t] = a[k * P + t] * delta[j * P + t];
                out += P;
            }
}

/* J of the block and one output, whose deltas are in the workspace, into panels of P rows */
static void
turn_jacobian(const struct bp_normal *n, const struct bp_pass *pass, double *out)
{
    const struct bp_network *net = pass->net;
    const size_t groups = bp_matrix_panels(pass->rows); /* transpose fills pads with zeros */

    for (size_t l = net->restraint.lowest; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const double *a = n->nodes + n->nodes_at[2 * l];
        double *delta = n->nodes + n->nodes_at[2 * l + 1];
        const struct bp_freedom *freedom = &layer->freedom;
        const size_t weights = bp_free_weights(net, l);
        net->kernels->transpose(pass->rows, layer->outputs, pass->ws->nodes[l].delta,
                                pass->ws->stride, delta, turned_nodes(layer->outputs));
        for (size_t g = 0; g < groups; g++) {
            const double *of_group = delta + g * turned_nodes(layer->outputs);
            const double *inputs = a + g * turned_nodes(layer->inputs);
            double *to = out + g * n->turned_stride;
            if (weights > 0 && freedom->mask)
                multiply_free_nodes(layer->inputs, layer->outputs, freedom->mask, inputs, of_group,
                                    to);
            else if (weights > 0)
                multiply_nodes(layer->inputs, layer->outputs, inputs, of_group, to);
            if (layer->bias && freedom->bias_rate != 0)
                memcpy(to + weights * P, of_group, layer->outputs * P * sizeof(double));
        }
        out += (weights + (layer->bias && freedom->bias_rate != 0 ? layer->outputs : 0)) * P;
    }
}

static void
visit_normal(void *context, const struct bp_pass *pass, size_t me, size_t group, size_t first)
{
    struct bp_normal *n = context;
    struct bp_residuals *r = n->residuals;
    const struct bp_network *net = pass->net;
    double *one = r->bend; /* free now: 1 in the slots of the output whose J is wanted */
    (void)me;
    (void)group;

    for (size_t l = 0; l < net->count; l++)
        net->kernels->transpose(pass->rows, net->layers[l].inputs, bp_input_of(pass->ws, l),
                                pass->ws->stride, n->nodes + n->nodes_at[2 * l],
                                turned_nodes(net->layers[l].inputs));
    for (size_t j = 0; j < r->outputs; j++) {
        for (size_t i = 0; i < r->outputs * r->room; i++)
            one[i] = i / r->room == j;
        bp_seed(r, pass, first, one);
        bp_backward(pass, &(struct bp_update){.what = BP_NO_GRADIENT, .moving = true});
        const size_t slot = bp_slots_of(r, first) + j * r->room;
        double *turned = n->turned + (n->dual ? slot / P * n->turned_stride : 0);
        turn_jacobian(n, pass, turned);
        if (n->dual)
            continue;
        net->kernels->transpose(order_of(net), pass->rows, turned, n->turned_stride, n->panels,
                                n->panels_stride);
        bp_matrix_add_squares(&n->matrix, pass->rows, n->panels, n->panels_stride, slot > 0);
    }
}

bool
bp_normal_at(struct bp_normal *n, struct bp_point point)
{
    const struct bp_sweep sweep = {
        .parameters = point.parameters,
        .point = point.number,
        .visit = visit_normal,
        .context = n,
        .alone = true, /* the products are the work, and these are divided */
    };

    if (!bp_sweep(n->residuals->objective, &sweep))
        return false;
    if (n->dual)
        bp_matrix_add_squares(&n->matrix, order_of(n->residuals->objective->asked->net),
                              n->turned, n->turned_stride, false);
    return true;
}
