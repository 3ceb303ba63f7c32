#include "draws.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/network/dropout.h"

/* who draws, and where it is noted */
struct noting {
    struct bp_draws *draws;
    const struct bp_random *random;
};

static bool
make_room(struct bp_draws *draws)
{
    enum { AT_FIRST = 1024 };
    const size_t room = draws->room == 0 ? AT_FIRST : bp_size_product(draws->room, 2);
    uint32_t *numbers = bp_allocate(room, sizeof(*numbers));

    if (!numbers)
        return false;
    if (draws->numbers)
        memcpy(numbers, draws->numbers, draws->count * sizeof(*numbers));
    bp_free(draws->numbers);
    draws->numbers = numbers;
    draws->room = room;
    return true;
}

static uint32_t
draw_and_note(void *context)
{
    const struct noting *noting = context;
    struct bp_draws *draws = noting->draws;
    const uint32_t number = noting->random->next(noting->random->state);

    if (draws->count == draws->room && (draws->short_of_memory || !make_room(draws)))
        draws->short_of_memory = true;
    else
        draws->numbers[draws->count++] = number;
    return number;
}

static uint32_t
read_next(void *context)
{
    struct bp_reading_draws *reading = context;
    return reading->draws->numbers[reading->at++];
}

enum bp_status
bp_draw_epochs(struct bp_draws *draws, const struct bp_network *net,
               const struct bp_random *random, size_t epochs, size_t samples, bool shuffle,
               struct bp_poll poll)
{
    struct noting noting = {draws, random};
    const struct bp_random noted = {draw_and_note, &noting, random->hold, random->holder};
    uint64_t *keys = bp_allocate(net->count, sizeof(*keys));
    uint32_t *order = shuffle ? bp_allocate(samples, sizeof(*order)) : NULL;
    bool going = true;

    draws->count = 0;
    draws->short_of_memory = !keys || (shuffle && !order);
    for (size_t e = 0; e < epochs && going && !draws->short_of_memory; e++) {
        if (net->dropout)
            bp_draw_keys(net, &noted, keys);
        if (shuffle)
            going = bp_shuffle(&noted, samples, order, poll);
    }
    bp_free(keys);
    bp_free(order);
    if (draws->short_of_memory)
        return BP_NO_MEMORY;
    return going ? BP_OK : BP_INTERRUPTED;
}

void
bp_release_draws(struct bp_draws *draws)
{
    bp_free(draws->numbers);
    *draws = (struct bp_draws){0};
}

struct bp_random
bp_read_draws(struct bp_reading_draws *reading)
{
    return (struct bp_random){.next = read_next, .state = reading};
}
