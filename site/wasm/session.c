/* A session's life: its network, its samples, its optimizer. Depends on session.h. */
#include "session.h"

#include <math.h>

#include "core/base/memory.h"
#include "core/evaluate/trace.h"
#include "core/network/freedom.h"

BP_EXPORT(allocate) void *bp_session_memory(size_t bytes)
{
    return bp_allocate(bytes, 1);
}

BP_EXPORT(release) void bp_session_release(void *memory)
{
    bp_free(memory);
}

/* The name number `i` of a list of names.h: 0 activations, 1 losses, 2 optimizers' rules; NULL after its last. */
BP_EXPORT(name) const char *bp_session_name(int list, size_t i)
{
    const char *const *const lists[] = {bp_activation_names, bp_loss_names, bp_rule_names};
    return lists[list][i];
}

static void
forget_state(struct bp_session *self)
{
    for (size_t s = 0; s < BP_STATES; s++) {
        bp_free(self->optimizer.state[s]);
        self->optimizer.state[s] = NULL;
    }
}

BP_EXPORT(close) void bp_session_close(struct bp_session *self)
{
    if (!self)
        return;
    forget_state(self);
    bp_workspace_free(&self->ws);
    bp_free(self->traced);
    bp_free(self->trace);
    bp_free(self->gradient);
    bp_free(self->parameters);
    bp_free(self->net.layers);
    bp_free(self);
}

/* Room for the trace of one sample: z, a, dC_da, da_dz, dC_dz of each layer, one after the other. */
static bool
make_room_for_trace(struct bp_session *self)
{
    const struct bp_network *net = &self->net;
    size_t numbers = 0;

    for (size_t l = 0; l < net->count; l++) {
        const size_t n = net->layers[l].outputs;
        const size_t slopes = net->layers[l].activation == BP_SOFTMAX ? bp_size_product(n, n) : n;
        numbers = bp_size_sum(numbers, bp_size_sum(4 * n, slopes));
    }
    self->trace = bp_allocate(net->count, sizeof(*self->trace));
    self->traced = bp_allocate(numbers, net->kernels->size);
    if (!self->trace || !self->traced)
        return false;
    for (size_t l = 0, at = 0; l < net->count; l++) {
        bp_real **const places[] = {&self->trace[l].z, &self->trace[l].a, &self->trace[l].dC_da,
                                    &self->trace[l].da_dz, &self->trace[l].dC_dz};
        const size_t n = net->layers[l].outputs;
        for (size_t i = 0; i < 5; i++) {
            *places[i] = bp_at(net, self->traced, at);
            at += i == 3 && net->layers[l].activation == BP_SOFTMAX ? n * n : n;
        }
    }
    return true;
}

/* A network: dtype, loss, how many layers; then inputs, outputs, bias, activation of each. Its parameters are zeros, and its
 * optimizer SGD(1). NULL without memory. */
BP_EXPORT(open) struct bp_session *bp_session_open(const uint32_t *what)
{
    struct bp_session *self = bp_allocate(1, sizeof(*self));
    if (!self)
        return NULL;
    struct bp_network *net = &self->net;
    net->kernels = bp_select_kernels((enum bp_dtype)what[0], NULL);
    net->loss = (enum bp_loss)what[1];
    net->count = what[2];
    net->layers = bp_allocate(net->count, sizeof(*net->layers));
    if (!net->layers)
        goto failed;
    for (size_t l = 0; l < net->count; l++) {
        const uint32_t *layer = what + 3 + 4 * l;
        net->layers[l] = (struct bp_layer){.inputs = layer[0],
                                           .outputs = layer[1],
                                           .bias = layer[2] != 0,
                                           .activation = (enum bp_activation)layer[3],
                                           .freedom = {.rate = 1, .bias_rate = 1}};
    }
    if (bp_network_lay_out(net) != BP_OK)
        goto failed;
    bp_note_freedom(net);
    self->parameters = bp_allocate(bp_room(net), net->kernels->size);
    self->gradient = bp_allocate(bp_room(net), net->kernels->size);
    self->optimizer = (struct bp_optimizer){
        .rule = BP_SGD, .rate = 1, .clip_norm = INFINITY, .clip_value = INFINITY};
    if (self->parameters && self->gradient && make_room_for_trace(self))
        return self;
failed:
    bp_session_close(self);
    return NULL;
}

BP_EXPORT(parameters) bp_real *bp_session_parameters(struct bp_session *self)
{
    return self->parameters;
}

BP_EXPORT(count) size_t bp_session_count(const struct bp_session *self)
{
    return self->net.parameters;
}

/* Samples of a set, which stay the caller's: x (n, inputs) doubles; y (n, outputs) doubles or, as labels, (n,) integers. */
BP_EXPORT(samples)
void bp_session_samples(struct bp_session *self, size_t set, size_t n, const double *x,
                        const void *y, int labels)
{
    const size_t inputs = self->net.layers[0].inputs, columns = labels ? 1 : bp_targets(&self->net);
    const size_t each = labels ? sizeof(int32_t) : sizeof(double);

    self->data[set] = (struct bp_data){
        .x = {.data = (const char *)x,
              .row_stride = (ptrdiff_t)(inputs * sizeof(double)),
              .column_stride = sizeof(double),
              .rows = n,
              .columns = inputs,
              .type = BP_DOUBLE},
        .y = {.data = y,
              .row_stride = (ptrdiff_t)(columns * each),
              .column_stride = (ptrdiff_t)each,
              .rows = n,
              .columns = columns,
              .type = labels ? BP_INT32 : BP_DOUBLE},
        .labels = labels != 0,
    };
}

/* Another rule, which remembers nothing yet. settings: rate, momentum, decay, beta_1, beta_2, epsilon, nesterov. */
BP_EXPORT(optimizer)
enum bp_status bp_session_optimizer(struct bp_session *self, int rule, const double *settings)
{
    struct bp_optimizer *o = &self->optimizer;

    forget_state(self);
    *o = (struct bp_optimizer){.rule = (enum bp_rule)rule,
                               .rate = settings[0],
                               .momentum = settings[1],
                               .decay = settings[2],
                               .beta_1 = settings[3],
                               .beta_2 = settings[4],
                               .epsilon = settings[5],
                               .nesterov = settings[6] != 0,
                               .clip_norm = INFINITY,
                               .clip_value = INFINITY};
    for (size_t s = 0; s < bp_state_count(o); s++) {
        o->state[s] = bp_allocate(bp_room(&self->net), self->net.kernels->size);
        if (!o->state[s])
            return BP_NO_MEMORY;
    }
    return BP_OK;
}

BP_EXPORT(rate) void bp_session_rate(struct bp_session *self, double rate)
{
    self->optimizer.rate = rate;
}

/* Where the optimizer's vector `s` lies, as long as the parameters; NULL past its last. */
BP_EXPORT(state) bp_real *bp_session_state(struct bp_session *self, size_t s)
{
    return s < BP_STATES ? self->optimizer.state[s] : NULL;
}

BP_EXPORT(steps) double bp_session_steps(const struct bp_session *self)
{
    return (double)self->optimizer.steps;
}

BP_EXPORT(set_steps) void bp_session_set_steps(struct bp_session *self, double steps)
{
    self->optimizer.steps = (uint64_t)steps;
}
