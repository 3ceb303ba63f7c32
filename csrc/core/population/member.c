#include "member.h"

#include <math.h>

#include "core/base/memory.h"
#include "core/train/train.h"

struct bp_penalty
bp_penalty_of_member(const struct bp_population *p, size_t i, size_t l)
{
    const struct bp_layer *layer = &p->net->layers[l];

    if (!p->penalties)
        return (struct bp_penalty){layer->l1, layer->l2};
    const double *own = p->penalties + (i * p->net->count + l) * 2;
    return (struct bp_penalty){own[0], own[1]};
}

bool
bp_member_is_penalized(const struct bp_population *p, size_t i)
{
    bool penalized = false;

    for (size_t l = 0; l < p->net->count; l++) {
        const struct bp_penalty own = bp_penalty_of_member(p, i, l);
        penalized |= own.l1 != 0 || own.l2 != 0;
    }
    return penalized;
}

struct bp_network
bp_network_of_member(const struct bp_population *p, size_t i, struct bp_layer *layers)
{
    struct bp_network net = *p->net;

    for (size_t l = 0; l < net.count; l++) {
        const struct bp_penalty own = bp_penalty_of_member(p, i, l);
        layers[l] = net.layers[l];
        layers[l].l1 = own.l1;
        layers[l].l2 = own.l2;
    }
    net.layers = layers;
    net.penalized = bp_member_is_penalized(p, i);
    return net;
}

bool
bp_member_is_plain(const struct bp_population *p, size_t i)
{
    const struct bp_optimizer optimizer = bp_optimizer_of_member(p, i);
    struct bp_network net = *p->net;

    net.penalized = bp_member_is_penalized(p, i);
    return bp_is_plain(&net, &optimizer);
}

struct bp_optimizer
bp_optimizer_of_member(const struct bp_population *p, size_t i)
{
    const size_t at = i * p->net->parameters;
    struct bp_optimizer optimizer = p->optimizer;

    if (p->numbers) {
        const double *numbers = p->numbers + i * BP_MEMBER_NUMBERS;
#define NUMBER(enumerator, field) optimizer.field = numbers[enumerator];
        BP_EACH_MEMBER_NUMBER(NUMBER)
#undef NUMBER
    }
    optimizer.steps = p->members.steps[i];
    for (size_t s = 0; s < BP_STATES; s++)
        optimizer.state[s] = s < bp_state_count(&optimizer)
                                 ? bp_at(p->net, p->members.state[s], at)
                                 : NULL;
    return optimizer;
}

struct bp_training
bp_training_of_member(const struct bp_population *p, struct bp_span span, size_t i,
                      const struct bp_network *net, struct bp_optimizer *optimizer,
                      const struct bp_random *random, struct bp_poll poll)
{
    const size_t samples = bp_member_samples(p), steps = bp_member_steps(p);
    const size_t row = i * p->settings.epochs + span.first;
    struct bp_training t = {
        .net = net,
        .parameters = bp_at(p->net, p->members.parameters, i * p->net->parameters),
        .optimizer = optimizer,
        .data = *bp_data_of_member(&p->data, i),
        .validation = bp_data_of_member(&p->validation, i),
        .random = random,
        .settings = p->settings,
        .poll = poll,
    };

    t.settings.epochs = span.epochs;
    t.settings.threads = t.settings.first_threads = 1;
    t.settings.budget = INFINITY;
    if (p->chosen.rows)
        t.chosen = (struct bp_chosen){p->chosen.rows + i * samples, samples};
    if (p->rates.of)
        t.rates = p->rates.of + (p->rates.own ? row : span.first) * steps;
    return t;
}

/* What bp_train recorded of member i, [span.epochs][BP_FIGURES]. */
static void
write_record(const struct bp_population *p, struct bp_span span, size_t i, const double *record)
{
    for (size_t epoch = 0; epoch < span.epochs; epoch++)
        for (enum bp_figure f = 0; f < BP_FIGURES; f++) {
            double *to = bp_figure_of(p, f, span.first + epoch);
            if (to)
                to[i] = record[epoch * BP_FIGURES + f];
        }
}

enum bp_status
bp_train_member(const struct bp_population *p, struct bp_span span, size_t i,
                const struct bp_random *random, struct bp_poll poll)
{
    struct bp_optimizer optimizer = bp_optimizer_of_member(p, i);
    const size_t figures = bp_size_product(span.epochs, BP_FIGURES);
    struct bp_layer *layers = bp_allocate(p->net->count, sizeof(*layers));
    double *record = bp_allocate(figures, sizeof(*record));
    struct bp_trained trained;

    if (!layers || !record) {
        bp_free(layers);
        bp_free(record);
        return BP_NO_MEMORY;
    }
    for (size_t f = 0; f < figures; f++)
        record[f] = NAN;
    const struct bp_network net = bp_network_of_member(p, i, layers);
    struct bp_training t = bp_training_of_member(p, span, i, &net, &optimizer, random, poll);
    t.record = record;
    const enum bp_status status = bp_train(&t, &trained);
    write_record(p, span, i, record);
    bp_free(layers);
    bp_free(record);
    p->members.steps[i] = optimizer.steps;
    if (status != BP_DIVERGED)
        return status;
    p->members.active[i] = 0;
    return BP_OK;
}
