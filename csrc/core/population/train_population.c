#include "train_population.h"

#include "core/base/tasks.h"
#include "core/network/functions.h"
#include "draws.h"
#include "member.h"

/* one span of epochs */
struct part {
    const struct bp_population *population;
    struct bp_span span;
    struct bp_draws draws; /* where all draw the same */
};

static enum bp_status
train_one(void *context, size_t me, size_t i, struct bp_poll poll)
{
    const struct part *part = context;
    const struct bp_population *p = part->population;
    struct bp_reading_draws reading = {.draws = &part->draws};
    const struct bp_random same = bp_read_draws(&reading), *random = p->random.of;

    (void)me;
    if (!p->members.active[i])
        return BP_OK;
    if (random)
        random = p->random.one ? &same : &random[i];
    return bp_train_member(p, part->span, i, random, poll);
}

static enum bp_status
train_span(struct part *part)
{
    const struct bp_population *p = part->population;
    const struct bp_tasks tasks = {
        .count = p->members.count,
        .threads = p->settings.threads,
        .task = train_one,
        .context = part,
        .poll = p->poll,
    };

    if (p->random.one) {
        const enum bp_status status =
            bp_draw_epochs(&part->draws, p->net, p->random.of, part->span.epochs,
                           bp_member_samples(p), p->settings.shuffle, p->poll);
        if (status != BP_OK)
            return status;
    }
    return bp_do_tasks(&tasks);
}

/* Epochs that are trained together: all, unless the numbers that all draw would take too much memory. */
static size_t
epochs_together(const struct bp_population *p)
{
    enum { MOST_DRAWS = 1 << 24 };
    const size_t samples = bp_member_samples(p), epochs = p->settings.epochs;
    const size_t fitting = samples < MOST_DRAWS ? MOST_DRAWS / samples : 1;

    return p->random.one && fitting < epochs ? fitting : epochs;
}

enum bp_status
bp_train_population(const struct bp_population *p)
{
    const size_t together = epochs_together(p);
    struct part part = {.population = p};
    enum bp_status status = BP_OK;

    for (size_t first = 0; first < p->settings.epochs && status == BP_OK; first += together) {
        const size_t left = p->settings.epochs - first;
        part.span = (struct bp_span){first, left < together ? left : together};
        status = train_span(&part);
    }
    bp_release_draws(&part.draws);
    return status == BP_OK && bp_failed(p->net) ? BP_FAILED : status;
}
