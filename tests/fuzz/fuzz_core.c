/* fuzz_core.c: any network, data and settings that the core's contracts allow, and one of its entry
 * points called with them. What a sanitizer finds stops it, and so does a broken promise:
 *   - the bits of a result do not depend on the number of threads;
 *   - a sample has the same outputs and loss alone as among others;
 *   - after training, parameters that were finite still are.
 *
 * libFuzzer calls LLVMFuzzerTestOneInput; tests/c/test_core.c does without libFuzzer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/evaluate/gradient.h"
#include "core/evaluate/jacobian.h"
#include "core/evaluate/outputs.h"
#include "core/evaluate/second_order.h"
#include "core/evaluate/trace.h"
#include "core/train/step.h"
#include "core/train/train.h"
#include "from_bytes.h"
#include "kernels/isa/bf16.h"

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition);        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* what is called, and with what */
struct call {
    struct drawn_network *drawn;
    const struct bp_network *net;
    const struct bp_data *data;
    size_t inputs, outputs, rows, size; /* size: bytes of a number */
};

/* Whether two arrays have the same bits, any NaN being like any other. */
static bool
same_doubles(size_t count, const double *a, const double *b)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(a + i, b + i, sizeof(*a)) != 0 && !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

static bool
same(const struct call *call, size_t count, const bp_real *a, const bp_real *b)
{
    if (call->net->kernels->dtype == BP_FLOAT64)
        return same_doubles(count, a, b);
    const float *x = a, *y = b;
    for (size_t i = 0; i < count; i++)
        if (memcmp(x + i, y + i, sizeof(*x)) != 0 && !(isnan(x[i]) && isnan(y[i])))
            return false;
    return true;
}

static void
lay_out(struct bp_workspace *ws, const struct bp_network *net, size_t rows, size_t threads,
        unsigned flags)
{
    PROMISE(bp_workspace_lay_out(ws, net, rows, threads, flags) == BP_OK);
}

/* evaluation by a team */
struct evaluation {
    struct bp_pass pass;
    const struct bp_data *data;
    struct bp_results results; /* the arrays are shared, the sums are thread 0's */
};

static void
evaluate_on_thread(struct bp_team *team, size_t me, void *context)
{
    struct evaluation *e = context;
    struct bp_pass pass = e->pass;
    struct bp_results own = e->results;

    pass.team = team;
    pass.me = me;
    bp_evaluate(&pass, e->data, true, &own);
    if (me == 0)
        e->results = own;
}

/* outputs, losses, classes of these rows, by that many threads, `at_a_time` rows at a time */
static struct bp_results
evaluate(const struct call *call, const struct bp_data *data, size_t threads, size_t at_a_time)
{
    struct bp_workspace ws = {0};
    const size_t rows = data->x.rows;
    struct evaluation e = {
        .pass = {.net = call->net,
                 .ws = &ws,
                 .parameters = {call->drawn->parameters, false},
                 .threads = threads},
        .data = data,
        .results = {.outputs = room(rows * call->outputs * call->size),
                    .classes = room(rows * sizeof(int64_t)),
                    .losses = room(rows * sizeof(double))},
    };
    lay_out(&ws, call->net, at_a_time, threads, BP_FORWARD_ONLY);
    PROMISE(bp_team_run(threads, evaluate_on_thread, &e) == BP_OK);
    bp_workspace_free(&ws);
    return e.results;
}

static void
drop_results(struct bp_results *results)
{
    free(results->outputs);
    free(results->classes);
    free(results->losses);
}

static void
fuzz_evaluate(struct bytes *bytes, const struct call *call)
{
    const size_t at_a_time = draw(bytes, 1, 40), threads = draw(bytes, 2, 4);
    const size_t row = draw(bytes, 0, 255) % call->rows;
    struct bp_results one = evaluate(call, call->data, 1, call->rows);
    struct bp_results many = evaluate(call, call->data, threads, at_a_time);
    struct bp_data data = *call->data;
    data.x.rows = data.y.rows = 1;
    data.x.data += (ptrdiff_t)row * data.x.row_stride;
    data.y.data += (ptrdiff_t)row * data.y.row_stride;
    if (data.weights)
        data.weights += row;
    struct bp_results alone = evaluate(call, &data, 1, 1);

    if (!call->net->custom) { /* else a function may have failed meanwhile */
        const bp_real *in_row = bp_at(call->net, one.outputs, row * call->outputs);
        PROMISE(same(call, call->rows * call->outputs, one.outputs, many.outputs));
        PROMISE(memcmp(one.classes, many.classes, call->rows * sizeof(*one.classes)) == 0);
        PROMISE(same_doubles(call->rows, one.losses, many.losses));
        PROMISE(same_doubles(1, &one.total, &many.total) && one.right == many.right);
        PROMISE(same(call, call->outputs, alone.outputs, in_row));
        PROMISE(same_doubles(1, alone.losses, one.losses + row));
    }
    drop_results(&one);
    drop_results(&many);
    drop_results(&alone);
}

/* What a workspace needs for a pass over these data. */
static unsigned
with_mask(const struct call *call, unsigned flags)
{
    return call->data->mask.data ? flags | BP_MASK : flags;
}

static void
fuzz_gradient(struct bytes *bytes, const struct call *call)
{
    struct bp_workspace ws = {0};
    bp_real *gradient = room(bp_room(call->net) * call->size);
    bp_real *inputs = room(call->inputs * call->size);

    lay_out(&ws, call->net, call->rows, 1, with_mask(call, BP_INPUT_GRADIENT));
    struct bp_data data = *call->data;
    data.derivatives = !data.labels && draw(bytes, 0, 1) == 1;
    memset(gradient, 0, bp_room(call->net) * call->size);
    bp_gradient(call->net, &ws, call->drawn->parameters,
                &(struct bp_mean_gradient){.data = &data, .gradient = gradient, .inputs = inputs});
    bp_workspace_free(&ws);
    free(gradient);
    free(inputs);
}

static void
fuzz_gradient_per_sample(struct bytes *bytes, const struct call *call)
{
    struct bp_workspace ws = {0};
    bp_real *gradient = room(call->rows * call->net->parameters * call->size);
    bp_real *inputs = room(call->rows * call->inputs * call->size);
    double *losses = room(call->rows * sizeof(*losses));

    lay_out(&ws, call->net, draw(bytes, 1, 40), 1, with_mask(call, BP_INPUT_GRADIENT));
    bp_gradient_per_sample(call->net, &ws, call->drawn->parameters, call->data, gradient, inputs,
                           losses);
    bp_workspace_free(&ws);
    free(gradient);
    free(inputs);
    free(losses);
}

static void
fuzz_trace(struct bytes *bytes, const struct call *call)
{
    const struct bp_network *net = call->net;
    const bool targets = draw(bytes, 0, 3) > 0;
    struct bp_workspace ws = {0};
    struct bp_trace *trace = room(net->count * sizeof(*trace));

    memset(trace, 0, net->count * sizeof(*trace));
    for (size_t l = 0; l < net->count; l++) {
        const size_t nodes = net->layers[l].outputs, size = call->rows * nodes * call->size;
        const bool softmax = net->layers[l].activation == BP_SOFTMAX;
        bp_real **places[] = {&trace[l].z, &trace[l].a, &trace[l].dC_da, &trace[l].dC_dz};
        for (int i = 0; i < (targets ? 4 : 2); i++)
            *places[i] = room(size);
        if (targets)
            trace[l].da_dz = room(softmax ? size * nodes : size);
    }
    lay_out(&ws, net, draw(bytes, 1, 40), 1, with_mask(call, BP_KEEP_Z));
    bp_trace(net, &ws, call->drawn->parameters, call->data, targets, trace);
    bp_workspace_free(&ws);
    for (size_t l = 0; l < net->count; l++) {
        free(trace[l].z);
        free(trace[l].a);
        free(trace[l].dC_da);
        free(trace[l].da_dz);
        free(trace[l].dC_dz);
    }
    free(trace);
}

static void
fuzz_step(struct bytes *bytes, const struct call *call)
{
    const struct bp_network *net = call->net;
    struct bp_optimizer optimizer = draw_optimizer(bytes, net);
    struct bp_workspace ws = {0};
    uint64_t *keys = room(net->count * sizeof(*keys));
    bp_real *gradient =
        bp_is_plain(net, &optimizer) ? NULL : room(bp_room(net) * net->kernels->size);

    memset(keys, 7, net->count * sizeof(*keys));
    lay_out(&ws, net, call->rows, 1, with_mask(call, net->dropout ? BP_DROPOUT : 0));
    (void)bp_step(net, &ws, call->drawn->parameters, call->data, &optimizer, gradient,
                  net->dropout ? &(struct bp_dropout){keys, draw(bytes, 0, 255)} : NULL, NULL);
    bp_workspace_free(&ws);
    free(keys);
    free(gradient);
    drop_optimizer(&optimizer);
}

static void
fuzz_jacobian_products(struct bytes *bytes, const struct call *call)
{
    const struct bp_network *net = call->net;
    const size_t rows = draw(bytes, 1, 40);
    struct bp_workspace ws = {0}, moved = {0};
    struct bp_data data = *call->data;
    bp_real *of_inputs = room(call->rows * call->inputs * call->size);
    bp_real *of_outputs = room(call->rows * call->outputs * call->size);

    data.mask.data = NULL;
    data.derivatives = true;
    if (!data.labels) {
        lay_out(&ws, net, rows, 1, BP_INPUT_GRADIENT);
        bp_vector_jacobian(net, &ws, call->drawn->parameters, &data, of_inputs);
    }
    lay_out(&ws, net, rows, 1, BP_KEEP_Z);
    lay_out(&moved, net, rows, 1, BP_KEEP_Z);
    bp_jacobian_vector(net, &ws, &moved, call->drawn->parameters, &data, &data.x, of_outputs);
    bp_workspace_free(&ws);
    bp_workspace_free(&moved);
    free(of_inputs);
    free(of_outputs);
}

static void
fuzz_jacobian(struct bytes *bytes, const struct call *call)
{
    struct bp_workspace ws = {0};
    bp_real *out = room(call->rows * call->outputs * call->inputs * call->size);

    lay_out(&ws, call->net, draw(bytes, 1, 40), 1, with_mask(call, BP_INPUT_GRADIENT));
    bp_jacobian(call->net, &ws, call->drawn->parameters, call->data, out);
    bp_workspace_free(&ws);
    free(out);
    fuzz_jacobian_products(bytes, call);
}

static void
fuzz_hessian_vector(struct bytes *bytes, const struct call *call)
{
    const struct bp_network *net = call->net;
    const size_t rows = draw(bytes, 1, 40), size = bp_room(net) * call->size;
    struct bp_workspace ws = {0}, moved = {0};
    bp_real *direction = room(size), *product = room(size);

    if (!net->custom) {
        memcpy(direction, call->drawn->parameters, size);
        lay_out(&ws, net, rows, 1, with_mask(call, BP_KEEP_Z));
        lay_out(&moved, net, rows, 1, BP_KEEP_Z);
        bp_hessian_vector(net, &ws, &moved, call->drawn->parameters, call->data, direction,
                          product);
        bp_workspace_free(&ws);
        bp_workspace_free(&moved);
    }
    free(direction);
    free(product);
}

/* training: a source of random numbers, a stream, and ranks that are all like this one */

static uint32_t
next_random(void *state)
{
    return (uint32_t)mix(state);
}

struct blocks {
    const struct bp_data *data;
    size_t rows, first; /* a block's most, and where the next one begins */
    int patience;       /* blocks until one fails, or below 0 for none */
    double rates[64];
};

static bool
next_block(void *context, struct bp_data *data)
{
    struct blocks *blocks = context;
    const size_t left = blocks->data->x.rows - blocks->first;
    const size_t rows = left < blocks->rows ? left : blocks->rows;

    *data = *blocks->data;
    data->x.rows = data->y.rows = rows;
    data->x.data += (ptrdiff_t)blocks->first * data->x.row_stride;
    data->y.data += (ptrdiff_t)blocks->first * data->y.row_stride;
    if (data->weights)
        data->weights += blocks->first;
    blocks->first = rows == 0 ? 0 : blocks->first + rows;
    return blocks->patience-- != 0;
}

static const double *
next_rates(void *context, size_t first, size_t count)
{
    struct blocks *blocks = context;
    for (size_t i = 0; i < count; i++)
        blocks->rates[i] = 0.1 / (double)(1 + first + i);
    return blocks->rates;
}

struct exchange {
    size_t count;
    int patience; /* exchanges until one fails, or below 0 for none */
};

static bool
add_over_ranks(void *context, enum bp_dtype dtype, size_t count, void *numbers)
{
    struct exchange *exchange = context;
    for (size_t i = 0; i < count; i++)
        if (dtype == BP_FLOAT32)
            ((float *)numbers)[i] *= (float)exchange->count;
        else
            ((double *)numbers)[i] *= (double)exchange->count;
    return exchange->patience-- != 0;
}

static bool
poll(void *context)
{
    int *patience = context;
    return (*patience)-- == 0;
}

/* how one training is set up; the same for every number of threads */
struct plan {
    struct bp_training training;
    struct bp_optimizer optimizer;
    struct blocks blocks;
    struct exchange exchange;
    struct bp_stream stream;
    struct bp_ranks ranks;
    struct drawn_data held_out;
    double *rates;
    int poll_patience;
    bool fails; /* something is set up to fail, and when it does may depend on threads */
};

static void
plan_source(struct bytes *bytes, const struct call *call, struct plan *plan)
{
    const size_t kind = draw(bytes, 0, 7), patience = draw(bytes, 0, 255);
    struct bp_training *t = &plan->training;
    const bool stream = kind >= 5 && !call->data->mask.data, ranks = kind % 4 == 2;
    const size_t steps = (call->rows + t->settings.batch - 1) / t->settings.batch;

    if (stream) {
        plan->blocks = (struct blocks){
            .data = call->data,
            .rows = draw(bytes, 1, 40),
            .patience = patience < 16 ? (int)patience : -1,
        };
        plan->stream = (struct bp_stream){
            .whole = draw(bytes, 0, 1),
            .next = next_block,
            .rates = draw(bytes, 0, 1) ? next_rates : NULL,
            .context = &plan->blocks,
        };
        t->stream = &plan->stream;
        t->data = (struct bp_data){0};
    }
    if (ranks && !call->data->mask.data) {
        const bool sharded = draw(bytes, 0, 1);
        plan->exchange = (struct exchange){
            .count = sharded && !stream ? draw(bytes, 1, 2) : 1,
            .patience = patience >= 16 && patience < 32 ? (int)patience - 16 : -1,
        };
        plan->ranks = (struct bp_ranks){
            .count = plan->exchange.count,
            .sharded = sharded,
            .steps = steps,
            .average_every = draw(bytes, 0, 3),
            .reduce = add_over_ranks,
            .context = &plan->exchange,
        };
        t->ranks = &plan->ranks;
    }
    if (!stream && draw(bytes, 0, 3) == 3) {
        const size_t count = steps * t->settings.epochs;
        plan->rates = room(count * sizeof(*plan->rates));
        for (size_t i = 0; i < count; i++)
            plan->rates[i] = 0.2 / (double)(1 + i);
        t->rates = plan->rates;
    }
    plan->fails = plan->blocks.patience > 0 || plan->exchange.patience > 0 || call->net->custom;
}

static void
make_plan(struct bytes *bytes, const struct call *call, struct plan *plan)
{
    const size_t flags = draw(bytes, 0, 255), poll_patience = draw(bytes, 0, 255);

    *plan = (struct plan){
        .training = {.net = call->net,
                     .data = *call->data,
                     .settings = {.epochs = draw(bytes, 1, 3),
                                  .batch = draw(bytes, 1, 40),
                                  .shuffle = flags & 1,
                                  .norms = (flags & 6) == 6,
                                  .mixed = (flags & 40) == 40 && call->size == sizeof(float)
                                               ? &bp_mixed_emulated
                                               : NULL,
                                  .budget = INFINITY}},
        .blocks = {.patience = -1},
        .exchange = {.patience = -1},
        .poll_patience = poll_patience,
    };
    struct bp_training *t = &plan->training;
    if (t->settings.batch > call->rows)
        t->settings.batch = call->rows;
    if (poll_patience < 8) {
        t->poll = (struct bp_poll){poll, &plan->poll_patience};
    }
    plan->optimizer = draw_optimizer(bytes, call->net);
    plan_source(bytes, call, plan);
    plan->fails |= t->poll.ask != NULL;
    if (flags & 16 && draw_data(bytes, call->net, &plan->held_out))
        t->validation = &plan->held_out.data;
}

static void
drop_plan(struct plan *plan)
{
    drop_optimizer(&plan->optimizer);
    if (plan->training.validation)
        drop_data(&plan->held_out);
    free(plan->rates);
}

/* What a training leaves behind. */
struct outcome {
    enum bp_status status;
    bp_real *parameters, *state[BP_STATES];
    double *record;
    size_t epochs_done;
    uint64_t steps;
};

static bp_real *
copy(const void *numbers, size_t size)
{
    return memcpy(room(size), numbers, size);
}

static struct outcome
train(const struct call *call, const struct plan *from, size_t threads)
{
    struct plan plan = *from;
    struct bp_training *t = &plan.training;
    const size_t size = bp_room(call->net) * call->size;
    uint64_t state = 99;
    const struct bp_random random = {.next = next_random, .state = &state};
    struct outcome outcome = {.parameters = copy(call->drawn->parameters, size)};

    plan.stream.context = &plan.blocks;
    plan.ranks.context = &plan.exchange;
    t->stream = t->stream ? &plan.stream : NULL;
    t->ranks = t->ranks ? &plan.ranks : NULL;
    t->validation = t->validation ? &plan.held_out.data : NULL;
    t->poll.context = &plan.poll_patience;
    t->optimizer = &plan.optimizer;
    t->random = &random;
    t->settings.threads = threads;
    t->settings.first_threads = threads - from->training.settings.batch % threads;
    t->parameters = outcome.parameters;
    t->record = outcome.record = room(t->settings.epochs * BP_FIGURES * sizeof(*t->record));
    for (size_t s = 0; s < bp_state_count(&plan.optimizer); s++)
        plan.optimizer.state[s] = outcome.state[s] = copy(from->optimizer.state[s], size);
    struct bp_trained trained;
    outcome.status = bp_train(t, &trained);
    outcome.epochs_done = trained.epochs_done;
    outcome.steps = plan.optimizer.steps;
    return outcome;
}

static void
drop_outcome(struct outcome *outcome)
{
    free(outcome->parameters);
    free(outcome->state[0]);
    free(outcome->state[1]);
    free(outcome->record);
}

static void
compare(const struct call *call, const struct outcome *one, const struct outcome *many)
{
    const size_t count = call->net->parameters;

    PROMISE(one->status == many->status);
    PROMISE(one->epochs_done == many->epochs_done && one->steps == many->steps);
    PROMISE(same(call, count, one->parameters, many->parameters));
    for (size_t s = 0; s < BP_STATES && one->state[s]; s++)
        PROMISE(same(call, count, one->state[s], many->state[s]));
    for (size_t i = 0; i < one->epochs_done * BP_FIGURES; i++)
        PROMISE(i % BP_FIGURES == BP_SECONDS ||
                same_doubles(1, one->record + i, many->record + i));
}

static void
fuzz_train(struct bytes *bytes, const struct call *call)
{
    static const size_t teams[] = {2, 3, 8, 2};
    const size_t threads = teams[draw(bytes, 0, 3)];
    const struct bp_vector before = {call->drawn->parameters, false};
    const bool finite = bp_first_not_finite(call->net, before) == call->net->count;
    struct plan plan;

    make_plan(bytes, call, &plan);
    struct outcome one = train(call, &plan, 1), many = train(call, &plan, threads);
    if (!plan.fails)
        compare(call, &one, &many);
    if (finite) {
        const struct bp_vector after[] = {{one.parameters, false}, {many.parameters, false}};
        PROMISE(bp_first_not_finite(call->net, after[0]) == call->net->count);
        PROMISE(bp_first_not_finite(call->net, after[1]) == call->net->count);
    }
    drop_outcome(&one);
    drop_outcome(&many);
    drop_plan(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static void (*const entries[])(struct bytes *, const struct call *) = {
        fuzz_train,    fuzz_train, fuzz_evaluate, fuzz_gradient,       fuzz_gradient_per_sample,
        fuzz_trace,    fuzz_step,  fuzz_jacobian, fuzz_hessian_vector, fuzz_train,
    };
    struct bytes bytes = {input, input + size};
    const size_t entry = draw(&bytes, 0, sizeof(entries) / sizeof(*entries) - 1);
    struct drawn_network *drawn = draw_network(&bytes);
    struct drawn_data data;

    if (!drawn)
        return 0;
    if (draw_data(&bytes, &drawn->net, &data)) {
        const struct bp_network *net = &drawn->net;
        const struct call call = {
            .drawn = drawn,
            .net = net,
            .data = &data.data,
            .inputs = net->layers[0].inputs,
            .outputs = net->layers[net->count - 1].outputs,
            .rows = data.data.x.rows,
            .size = net->kernels->size,
        };
        entries[entry](&bytes, &call);
        drop_data(&data);
    }
    drop_network(drawn);
    return 0;
}
