#include "train_population.h"

#include <stdlib.h>

#include "core/base/memory.h"
#include "core/base/tasks.h"
#include "core/network/functions.h"
#include "draws.h"
#include "train_block.h"
#include "plan.h"

/* one span of epochs */
struct part {
    const struct bp_population *population;
    struct bp_span span;
    struct bp_draws draws; /* where all draw the same */
    uint32_t *members;     /* that are active, `active` of them */
    size_t active, choices; /* and how many different rows these have */
    struct block_plan plan;
    struct block *blocks; /* one for each thread */
};

/* The i-th active member alone. */
static enum bp_status
train_one(const struct part *part, size_t i, const struct bp_random *same, struct bp_poll poll)
{
    const size_t member = part->members[i];
    const struct bp_random *own = part->population->random.of;

    return bp_train_member(part->population, part->span, member,
                           same || !own ? same : &own[member], poll);
}

/* The blocks come first, then members for whom there is none. */
static enum bp_status
train_task(void *context, size_t me, size_t i, struct bp_poll poll)
{
    const struct part *part = context;
    struct bp_reading_draws reading = {.draws = &part->draws};
    const struct bp_random draws = bp_read_draws(&reading);
    const struct bp_random *same = part->population->random.one ? &draws : NULL;
    const size_t group = part->plan.group;

    if (i >= part->plan.blocks)
        return train_one(part, i - part->plan.blocks + part->plan.blocks * group, same, poll);
    const size_t left = part->active - i * group;
    return bp_train_members_of(&part->blocks[me], part->span, part->members + i * group,
                          left < group ? left : group, same, poll);
}

/* A block for each thread, where there are any. */
static enum bp_status
open_blocks(struct part *part, size_t threads)
{
    enum bp_status status = BP_OK;

    if (part->plan.blocks == 0)
        return BP_OK;
    part->blocks = bp_allocate(threads, sizeof(*part->blocks));
    if (!part->blocks)
        return BP_NO_MEMORY;
    for (size_t i = 0; i < threads && status == BP_OK; i++)
        status = bp_open_block(&part->blocks[i], part->population, &part->plan);
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

/* A number that is the same for members that are trained on the same rows, and seldom for others. */
static uint32_t
key_of_rows(const struct bp_population *p, size_t member)
{
    enum { LOOKED_AT = 64, FACTOR = 0x01000193 }; /* of the FNV hash */
    const size_t count = p->chosen.count, step = count > LOOKED_AT ? count / LOOKED_AT : 1;
    const uint32_t *rows = p->chosen.rows + member * count;
    uint32_t key = 0;

    for (size_t n = 0; n < count; n += step)
        key = (key ^ rows[n]) * FACTOR;
    return key;
}

static int
by_number(const void *one, const void *other)
{
    const uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* The active members: those with the same rows side by side, so that a block of them loads these once. */
static enum bp_status
list_members(struct part *part)
{
    const struct bp_population *p = part->population;
    uint64_t *keys = bp_allocate(p->members.count, sizeof(*keys)); /* and the member below */

    if (!keys)
        return BP_NO_MEMORY;
    part->active = 0;
    for (size_t i = 0; i < p->members.count; i++)
        if (p->members.active[i])
            keys[part->active++] = (p->chosen.rows ? (uint64_t)key_of_rows(p, i) << 32 : 0) | i;
    if (p->chosen.rows)
        qsort(keys, part->active, sizeof(*keys), by_number);
    part->choices = part->active > 0;
    for (size_t i = 0; i < part->active; i++) {
        part->choices += i > 0 && keys[i] >> 32 != keys[i - 1] >> 32;
        part->members[i] = (uint32_t)keys[i];
    }
    bp_free(keys);
    return BP_OK;
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
    enum bp_status status = list_members(part);
    if (status != BP_OK)
        return status;
    (void)bp_plan_blocks(p, part->active, part->choices, &part->plan);
    const size_t in_blocks = part->plan.blocks * part->plan.group;
    const size_t alone = part->active > in_blocks ? part->active - in_blocks : 0;
    const size_t tasks = part->plan.blocks + alone;
    const size_t threads = p->settings.threads < tasks ? p->settings.threads : tasks;
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
    return status;
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

    part.members = bp_allocate(p->members.count, sizeof(*part.members));
    if (!part.members)
        return BP_NO_MEMORY;
    for (size_t first = 0; first < p->settings.epochs && status == BP_OK; first += together) {
        const size_t left = p->settings.epochs - first;
        part.span = (struct bp_span){first, left < together ? left : together};
        status = train_span(&part);
    }
    bp_release_draws(&part.draws);
    bp_free(part.members);
    return status == BP_OK && bp_failed(p->net) ? BP_FAILED : status;
}
