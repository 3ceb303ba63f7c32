/* Along the direction v of the parameters, with a dot for ∂/∂t (Taylor mode; A. Griewank and
 * A. Walther, "Evaluating Derivatives", 2008, chapter 13):
 *
 *   ż = V a_prev + W ȧ_prev        ȧ = g'(z) ż
 *   z̈ = 2 V ȧ_prev + W ä_prev      ä = g''(z) ż² + g'(z) z̈
 */
#include "residuals.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/network/functions.h"

enum { P = BP_PANEL(double) };

enum bp_status
bp_residuals_init(struct bp_residuals *r, struct bp_objective *o, bool bends)
{
    const struct bp_network *net = o->asked->net;
    const size_t threads = o->crew->threads;
    enum bp_status status = BP_OK;

    *r = (struct bp_residuals){
        .objective = o,
        .outputs = net->layers[net->count - 1].outputs,
        .room = bp_quotient_up(o->rows, P) * P,
    };
    r->slots = bp_size_product(bp_size_product(o->blocks, r->outputs), r->room);
    r->r = bp_allocate(r->slots, sizeof(double));
    r->bend = bp_allocate(r->slots, sizeof(double));
    r->along = bp_allocate(bp_room(net), sizeof(double));
    r->twice = bp_allocate(bp_room(net), sizeof(double));
    if (!r->r || !r->bend || !r->along || !r->twice)
        return BP_NO_MEMORY;
    if (!bends)
        return BP_OK;
    r->moved = bp_allocate(threads, sizeof(*r->moved));
    if (!r->moved)
        return BP_NO_MEMORY;
    for (size_t me = 0; status == BP_OK && me < threads; me++)
        status = bp_workspace_lay_out(&r->moved[me], net, o->rows, 1, BP_KEEP_Z);
    return status;
}

void
bp_residuals_free(struct bp_residuals *r)
{
    for (size_t me = 0; r->moved && me < r->objective->crew->threads; me++)
        bp_workspace_free(&r->moved[me]);
    bp_free(r->moved);
    bp_free(r->r);
    bp_free(r->bend);
    bp_free(r->along);
    bp_free(r->twice);
}

/* entry (n, j) of panels */
static size_t
at(size_t stride, size_t n, size_t j)
{
    return j / P * stride + n * P + j % P;
}

double
bp_residual_root(const struct bp_residuals *r, const struct bp_pass *pass, size_t first, size_t n,
                 size_t j)
{
    const double *mask = pass->ws->mask;
    const double weight = bp_sample_weight(r->objective, first + n);

    if (pass->masked && mask[at(pass->ws->stride, n, j)] == 0)
        return 0;
    return weight == 1 ? 1 : sqrt(weight);
}

/* slots = √(w m) (from - minus): matrices of the last layer in panels; minus may be NULL */
static void
read_slots(const struct bp_residuals *r, const struct bp_pass *pass, size_t first,
           const double *from, const double *minus, double *slots)
{
    for (size_t j = 0; j < r->outputs; j++)
        for (size_t n = 0; n < pass->rows; n++) {
            const size_t i = at(pass->ws->stride, n, j);
            const double root = bp_residual_root(r, pass, first, n, j);
            slots[j * r->room + n] = root == 0 ? 0 : root * (from[i] - (minus ? minus[i] : 0));
        }
}

void
bp_seed(const struct bp_residuals *r, const struct bp_pass *pass, size_t first, const double *u)
{
    const struct bp_workspace *ws = pass->ws;
    double *dC_da = ws->nodes[pass->net->count - 1].dC_da;

    for (size_t q = 0; q < bp_panels(pass->net, r->outputs); q++)
        memset(dC_da + q * ws->stride, 0, pass->rows * P * sizeof(double));
    for (size_t j = 0; j < r->outputs; j++)
        for (size_t n = 0; n < pass->rows; n++)
            dC_da[at(ws->stride, n, j)] =
                bp_residual_root(r, pass, first, n, j) * u[j * r->room + n];
    bp_delta_from_dC_da(pass);
}

static void
visit_residuals(void *context, const struct bp_pass *pass, size_t me, size_t group, size_t first)
{
    struct bp_residuals *r = context;
    (void)me;

    bp_add_losses(r->objective, pass, group, first);
    read_slots(r, pass, first, pass->ws->nodes[pass->net->count - 1].a, pass->ws->y,
               r->r + bp_slots_of(r, first));
}

bool
bp_residuals_at(struct bp_residuals *r, struct bp_point point)
{
    r->objective->evaluations++;
    bp_clear_sums(r->objective);
    return bp_sweep(r->objective, &(struct bp_sweep){
                                      .parameters = point.parameters,
                                      .point = point.number,
                                      .visit = visit_residuals,
                                      .context = r,
                                  });
}

struct pulling {
    struct bp_residuals *residuals;
    const double *u;
};

static void
visit_pull(void *context, const struct bp_pass *pass, size_t me, size_t group, size_t first)
{
    const struct pulling *p = context;
    const struct bp_residuals *r = p->residuals;

    bp_seed(r, pass, first, p->u + bp_slots_of(r, first));
    bp_add_gradient(r->objective, pass, me, group);
}

bool
bp_pull_back(struct bp_residuals *r, struct bp_point point, const double *u, double *out)
{
    struct pulling pulling = {r, u};

    bp_clear_sums(r->objective);
    if (!bp_sweep(r->objective, &(struct bp_sweep){
                                    .parameters = point.parameters,
                                    .point = point.number,
                                    .visit = visit_pull,
                                    .context = &pulling,
                                }))
        return false;
    bp_all_sums(r->objective, out);
    return true;
}

struct bending {
    struct bp_residuals *residuals;
    bool pull;
};

/* c = A w of layer l, plus start; resume: plus c */
static void
weighted_sums(const struct bp_pass *pass, size_t l, const bp_real *a, struct bp_weights weights,
              bool resume, bp_real *c)
{
    const struct bp_network *net = pass->net;

    bp_product_over_depth(pass, &(struct bp_product){
                                    .rows = pass->rows,
                                    .columns = net->layers[l].outputs,
                                    .depth = net->layers[l].inputs,
                                    .a = a,
                                    .a_row = P,
                                    .a_stride = pass->ws->stride,
                                    .b = weights.w,
                                    .b_row = weights.row,
                                    .b_stride = weights.stride,
                                    .c = c,
                                    .c_stride = pass->ws->stride,
                                    .start = weights.bias,
                                    .resume = resume,
                                });
}

/* In moved->nodes[l]: ż in z, ȧ in a, z̈ in dC_da and ä in delta. */
static void
bend_layer(const struct bp_residuals *r, const struct bp_pass *pass,
           const struct bp_workspace *moved, size_t l)
{
    const struct bp_network *net = pass->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_nodes *nodes = &pass->ws->nodes[l], *dot = &moved->nodes[l];
    const size_t panels = bp_panels(net, layer->outputs), stride = moved->stride;
    const struct bp_weights v = bp_layer_weights(net, l, bp_reading(r->along, false));

    weighted_sums(pass, l, bp_input_of(pass->ws, l), v, false, dot->z);
    if (l > 0) {
        struct bp_weights w = bp_layer_weights(net, l, pass->parameters);
        struct bp_weights v2 = bp_layer_weights(net, l, bp_reading(r->twice, false));
        v2.bias = w.bias = NULL;
        weighted_sums(pass, l, moved->nodes[l - 1].a, w, true, dot->z);
        weighted_sums(pass, l, moved->nodes[l - 1].a, v2, false, dot->dC_da);
        weighted_sums(pass, l, moved->nodes[l - 1].delta, w, true, dot->dC_da);
    }
    bp_apply_slope(net, l, 0, panels, pass->rows, nodes->z, nodes->a, dot->z, dot->a, stride);
    for (size_t q = 0; q < panels; q++) {
        const size_t i = q * stride;
        const double *dz = dot->z;
        net->kernels->delta_change(layer->activation, pass->rows * P, bp_at(net, nodes->z, i),
                                   bp_at(net, nodes->a, i), dz + i, dz + i,
                                   bp_at(net, dot->dC_da, i), bp_at(net, dot->delta, i));
    }
}

static void
visit_bend(void *context, const struct bp_pass *pass, size_t me, size_t group, size_t first)
{
    const struct bending *b = context;
    const struct bp_residuals *r = b->residuals;
    const struct bp_workspace *moved = &r->moved[me];
    double *slots = r->bend + bp_slots_of(r, first);

    for (size_t l = 0; l < pass->net->count; l++)
        bend_layer(r, pass, moved, l);
    read_slots(r, pass, first, moved->nodes[pass->net->count - 1].delta, NULL, slots);
    if (!b->pull)
        return;
    bp_seed(r, pass, first, slots);
    bp_add_gradient(r->objective, pass, me, group);
}

bool
bp_bend(struct bp_residuals *r, struct bp_point point, double *out)
{
    struct bending bending = {r, out != NULL};

    for (size_t p = 0; p < r->objective->asked->net->parameters; p++)
        r->twice[p] = 2 * r->along[p];
    bp_clear_sums(r->objective);
    if (!bp_sweep(r->objective, &(struct bp_sweep){
                                    .parameters = point.parameters,
                                    .point = point.number,
                                    .visit = visit_bend,
                                    .context = &bending,
                                }))
        return false;
    if (out)
        bp_all_sums(r->objective, out);
    return true;
}
