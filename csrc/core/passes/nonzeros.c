#include "nonzeros.h"

#include "core/base/memory.h"

enum { LINE = 64 };

/* `count` times `size` bytes at *used, which moves on; at NULL it is only counted. */
static void *
take(char *memory, size_t *used, size_t count, size_t size)
{
    void *at = memory ? memory + *used : NULL;
    const size_t bytes = bp_size_sum(bp_size_product(count, size), LINE - 1);
    *used = bp_size_sum(*used, bytes == SIZE_MAX ? SIZE_MAX : bytes / LINE * LINE);
    return at;
}

/* Lays all out at `memory`, or NULL; the bytes that it takes. */
static size_t
carve(struct bp_nonzeros *nz, char *memory, const struct bp_network *net)
{
    const size_t size = net->kernels->size, count = nz->room.count;
    size_t used = 0;

    (void)take(memory, &used, 1, sizeof(*nz));
    nz->begins = take(memory, &used, nz->room.rows + 1, sizeof(*nz->begins));
    nz->k = take(memory, &used, bp_size_sum(count, BP_PAST), sizeof(*nz->k));
    nz->values = take(memory, &used, count, size);
    if (!nz->room.grouped)
        return used;
    nz->sorted_rows = take(memory, &used, count, sizeof(*nz->sorted_rows));
    nz->sorted_values = take(memory, &used, count, size);
    nz->groups = take(memory, &used, count, sizeof(*nz->groups));
    nz->group_of = take(memory, &used, net->layers[0].inputs, sizeof(*nz->group_of));
    nz->of_thread = take(memory, &used, nz->room.threads, sizeof(*nz->of_thread));
    return used;
}

enum bp_status
bp_nonzeros_lay_out(struct bp_nonzeros **nonzeros, const struct bp_network *net, size_t rows,
                    size_t count, size_t threads, bool grouped)
{
    const struct bp_nonzeros *old = *nonzeros;
    struct bp_nonzeros next = {.room = {rows, count, threads, grouped}};

    if (old && old->room.rows >= rows && old->room.count >= count &&
        old->room.threads >= threads && old->room.grouped >= grouped)
        return BP_OK;
    bp_nonzeros_free(nonzeros);
    if (count > UINT32_MAX)
        return BP_TOO_LARGE;
    next.bytes = carve(&next, NULL, net);
    char *memory = bp_allocate(1, next.bytes);
    if (!memory)
        return BP_NO_MEMORY;
    (void)carve(&next, memory, net);
    *nonzeros = (struct bp_nonzeros *)(void *)memory;
    **nonzeros = next;
    return BP_OK;
}

void
bp_nonzeros_free(struct bp_nonzeros **nonzeros)
{
    bp_free(*nonzeros);
    *nonzeros = NULL;
}
