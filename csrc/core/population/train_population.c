#include "train_population.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/base/tasks.h"
#include "core/network/functions.h"
#include "divide.h"
#include "draws.h"
#include "ends.h"
#include "train_block.h"

/* one span of epochs */
struct part {
    const struct bp_population *population;
    struct bp_span span;
    struct bp_draws draws; /* where all draw the same */
    struct bp_member_division division;
    struct block *blocks; /* one for each thread */
};

/* An epoch after the other, after each of which the member may end by itself */
static enum bp_status
train_until_it_ends(const struct bp_population *p, struct bp_span span, size_t member, const struct bp_random *random,
                    struct bp_poll poll)
{
    const size_t parameters = p->net->parameters, bytes = parameters * p->net->kernels->size;
    const bp_real *now = bp_at(p->net, p->members.parameters, member * parameters);
    const size_t end = span.first + span.epochs;
    const bool looks_back = bp_has_patience(p);
    bp_real *before = looks_back ? bp_allocate(bytes, 1) : NULL;
    enum bp_status status = looks_back && !before ? BP_NO_MEMORY : BP_OK;
    bool ended = false, better;

    for (size_t epoch = span.first; epoch < end && status == BP_OK && !ended; epoch++) {
        if (looks_back)
            memcpy(before, now, bytes);
        status = bp_train_member(p, (struct bp_span){epoch, 1}, member, random, poll);
        if (status != BP_OK || !p->members.active[member])
            break;
        ended = bp_ends(p, member, epoch, before, &better);
        if (better)
            memcpy(bp_at(p->net, p->monitor.kept, member * parameters), now, bytes);
    }
    bp_free(before);
    return status;
}

static enum bp_status
train_alone(const struct part *part, size_t member, const struct bp_random *same, struct bp_poll poll)
{
    const struct bp_population *p = part->population;
    const struct bp_random *random = same || !p->random.of ? same : &p->random.of[member];

    return bp_may_end(p) ? train_until_it_ends(p, part->span, member, random, poll)
                         : bp_train_member(p, part->span, member, random, poll);
}

/* The blocks come first, then members for whom there is none. */
static enum bp_status
train_task(void *context, size_t me, size_t i, struct bp_poll poll)
{
    const struct part *part = context;
    struct bp_reading_draws reading = {.draws = &part->draws};
    const struct bp_random draws = bp_read_draws(&reading);
    const struct bp_random *same = part->population->random.one ? &draws : NULL;
    const struct bp_member_division *d = &part->division;

    if (i >= d->blocks)
        return train_alone(part, d->members[d->first[d->blocks] + (i - d->blocks)], same, poll);
    const uint32_t first = d->first[i];
    return bp_train_members_of(&part->blocks[me], part->span, d->members + first, d->first[i + 1] - first, same,
                               poll);
}

/* A block for each thread, where there are any. */
static enum bp_status
open_blocks(struct part *part, size_t threads)
{
    enum bp_status status = BP_OK;

    if (part->division.blocks == 0)
        return BP_OK;
    part->blocks = bp_allocate(threads, sizeof(*part->blocks));
    if (!part->blocks)
        return BP_NO_MEMORY;
    for (size_t i = 0; i < threads && status == BP_OK; i++)
        status = bp_open_block(&part->blocks[i], part->population, &part->division.plan);
    return status;
}

static void
close_blocks(struct part *part, size_t threads)
{
    for (size_t i = 0; part->blocks && i < threads; i++)
        bp_close_block(&part->blocks[i]);
    bp_free(part->blocks);
    part->blocks = NULL;
}

static enum bp_status
train_span(struct part *part)
{
    const struct bp_population *p = part->population;

    if (p->random.one) {
        const enum bp_status drawn =
            bp_draw_epochs(&part->draws, p->net, p->random.of, part->span.epochs,
                           bp_member_samples(p), p->settings.shuffle, p->poll);
        if (drawn != BP_OK)
            return drawn;
    }
    enum bp_status status = bp_divide_members(p, &part->division);
    const size_t blocks = part->division.blocks;
    const size_t tasks = status == BP_OK ? blocks + part->division.active - part->division.first[blocks] : 0;
    const size_t threads = bp_smaller(p->settings.threads, tasks);
    if (status == BP_OK)
        status = open_blocks(part, threads);
    if (status == BP_OK)
        status = bp_do_tasks(&(struct bp_tasks){
            .count = tasks,
            .threads = threads,
            .task = train_task,
            .context = part,
            .poll = p->poll,
        });
    close_blocks(part, threads);
    bp_release_member_division(&part->division);
    return status;
}

/* Epochs that are trained together at most: all, unless the numbers that all draw would take too much memory. Where
 * members may end, orders that are one for all are drawn for an epoch at a time: the last one may be any. */
static size_t
most_together(const struct bp_population *p)
{
    enum { MOST_DRAWS = 1 << 24 };
    const size_t samples = bp_member_samples(p), epochs = p->settings.epochs;
    const size_t fitting = samples < MOST_DRAWS ? MOST_DRAWS / samples : 1;

    if (!p->random.one)
        return epochs;
    return bp_may_end(p) ? 1 : bp_smaller(fitting, epochs);
}

/* And where members may end: few, so that others take the lanes of those that have ended, but as many as are worth a
 * division and a team of threads. `last` took `seconds`; 0 before the first. */
static size_t
next_together(const struct bp_population *p, size_t last, double seconds)
{
    enum { LEAST = 5 };
    static const double worth = 5e-3;
    const size_t most = most_together(p);

    if (!bp_may_end(p))
        return most;
    return bp_smaller(most, last == 0 ? LEAST : seconds < worth ? 2 * last : last);
}

/* Whether any member goes on */
static bool
goes_on(const struct bp_population *p)
{
    return memchr(p->members.active, 1, p->members.count);
}

/* The record of a span for members that `were` active as the call began and diverged before the span: NaN. */
static void
write_no_figures(const struct bp_population *p, struct bp_span span, const uint8_t *were)
{
    for (enum bp_figure f = 0; f < BP_FIGURES; f++)
        for (size_t epoch = span.first; epoch < span.first + span.epochs; epoch++) {
            double *figures = bp_figure_of(p, f, epoch);
            for (size_t i = 0; figures && i < p->members.count; i++)
                if (were[i] && !p->members.active[i])
                    figures[i] = NAN;
        }
}

enum bp_status
bp_train_population(const struct bp_population *p)
{
    size_t together = next_together(p, 0, 0);
    struct part part = {.population = p};
    struct bp_watch watch = {.poll = p->poll, .asked = bp_seconds_now()}; /* spans may be too short to ask */
    uint8_t *were = bp_allocate(p->members.count, sizeof(*were));
    enum bp_status status = were ? BP_OK : BP_NO_MEMORY;

    if (were)
        memcpy(were, p->members.active, p->members.count * sizeof(*were));
    for (size_t first = 0; first < p->settings.epochs && status == BP_OK; first += part.span.epochs) {
        const size_t left = p->settings.epochs - first;
        const double begun = bp_seconds_now();
        if (bp_may_end(p) && !goes_on(p))
            break;
        part.span = (struct bp_span){first, bp_smaller(left, together)};
        if (first > 0 && !bp_may_end(p))
            write_no_figures(p, part.span, were);
        status = train_span(&part);
        if (status == BP_OK && left > part.span.epochs && p->poll.ask && bp_watch_stops(&watch))
            status = BP_INTERRUPTED;
        together = next_together(p, together, bp_seconds_now() - begun);
    }
    bp_free(were);
    bp_release_draws(&part.draws);
    return status == BP_OK && bp_failed(p->net) ? BP_FAILED : status;
}
