#include "divide.h"

#include <stdlib.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"

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

/* The active members, each with the key of its rows above it: those with the same rows side by side. How many
 * there are; `choices`: how many different rows they have. */
static size_t
list_members(const struct bp_population *p, uint64_t *keys, size_t *choices)
{
    size_t active = 0;

    for (size_t i = 0; i < p->members.count; i++)
        if (p->members.active[i])
            keys[active++] = (p->chosen.rows ? (uint64_t)key_of_rows(p, i) << 32 : 0) | i;
    if (p->chosen.rows)
        qsort(keys, active, sizeof(*keys), by_number);
    *choices = active > 0;
    for (size_t i = 1; i < active; i++)
        *choices += keys[i] >> 32 != keys[i - 1] >> 32;
    return active;
}

/* Where the members end that have the same rows as member `first` in this list. */
static size_t
end_of_run(const uint64_t *keys, size_t first, size_t active)
{
    size_t end = first + 1;

    while (end < active && keys[end] >> 32 == keys[first] >> 32)
        end++;
    return end;
}

/* Puts members keys[from .. end) into blocks behind those that there are, a last one that is not full only where
 * that takes less time than they would alone; where those begin that are left. `placed`: members so far. */
static size_t
fill_blocks(struct bp_member_division *d, const uint64_t *keys, size_t from, size_t end, double cost, size_t *placed)
{
    const size_t group = d->plan.group;

    while (from < end && (double)bp_smaller(end - from, group) > cost) {
        const size_t count = bp_smaller(end - from, group);
        d->first[d->blocks++] = (uint32_t)*placed;
        for (size_t i = 0; i < count; i++)
            d->members[(*placed)++] = (uint32_t)keys[from++];
    }
    return from;
}

/* Blocks of members with the same rows first, then of those that are left of each such run. */
static void
divide(struct bp_member_division *d, uint64_t *keys, size_t threads)
{
    size_t placed = 0, left = 0;

    for (size_t first = 0; d->plan.sharing && first < d->active;) {
        const size_t end = end_of_run(keys, first, d->active);
        for (size_t i = fill_blocks(d, keys, first, end, d->plan.cost, &placed); i < end; i++)
            keys[left++] = keys[i];
        first = end;
    }
    left = d->plan.sharing ? left : d->active;
    size_t alone = d->plan.group > 0 ? fill_blocks(d, keys, 0, left, d->plan.cost_apart, &placed) : 0;
    d->first[d->blocks] = (uint32_t)placed;
    while (alone < left)
        d->members[placed++] = (uint32_t)keys[alone++];
    const size_t whole = d->blocks - d->blocks % threads;
    if (!bp_last_round_pays(&d->plan, d->active - d->first[whole], threads))
        d->blocks = whole;
}

enum bp_status
bp_divide_members(const struct bp_population *p, struct bp_member_division *d)
{
    const size_t count = p->members.count, ends = count + 1;
    uint64_t *keys = bp_allocate(count, sizeof(*keys));
    size_t choices;

    *d = (struct bp_member_division){
        .members = bp_allocate(count, sizeof(*d->members)),
        .first = bp_allocate(ends, sizeof(*d->first)),
    };
    if (keys && d->members && d->first) {
        d->active = list_members(p, keys, &choices);
        (void)bp_plan_blocks(p, d->active, choices, &d->plan);
        divide(d, keys, p->settings.threads);
    }
    bp_free(keys);
    return keys && d->members && d->first ? BP_OK : BP_NO_MEMORY;
}

void
bp_release_member_division(struct bp_member_division *d)
{
    bp_free(d->members);
    bp_free(d->first);
    d->members = d->first = NULL;
}
