#include "member.h"

#include <math.h>

#include "core/train/train.h"

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
                      struct bp_optimizer *optimizer, const struct bp_random *random,
                      struct bp_poll poll)
{
    const size_t samples = bp_member_samples(p), steps = bp_member_steps(p);
    const size_t row = i * p->settings.epochs + span.first; /* of the record */
    struct bp_training t = {
        .net = p->net,
        .parameters = bp_at(p->net, p->members.parameters, i * p->net->parameters),
        .optimizer = optimizer,
        .data = *bp_data_of_member(&p->data, i),
        .validation = bp_data_of_member(&p->validation, i),
        .random = random,
        .record = p->record + row * BP_FIGURES,
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

enum bp_status
bp_train_member(const struct bp_population *p, struct bp_span span, size_t i,
                const struct bp_random *random, struct bp_poll poll)
{
    struct bp_optimizer optimizer = bp_optimizer_of_member(p, i);
    struct bp_training t = bp_training_of_member(p, span, i, &optimizer, random, poll);
    struct bp_trained trained;

    const enum bp_status status = bp_train(&t, &trained);
    p->members.steps[i] = optimizer.steps;
    if (status != BP_DIVERGED)
        return status;
    p->members.active[i] = 0;
    return BP_OK;
}
