#include "workspace.h"

#include <string.h>

#include "core/network/functions.h"
#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/data/sparse.h"
#include "grid.h"

/* For AddressSanitizer, which knows of the block as a whole only: 64 bytes after each buffer that
 * nobody may touch. */
#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define FENCED
#    endif
#elif defined(__SANITIZE_ADDRESS__)
#    define FENCED
#endif
#ifdef FENCED
#    include <sanitizer/asan_interface.h>
enum { FENCE = 64 };
#else
#    define ASAN_POISON_MEMORY_REGION(memory, size) ((void)0)
#    define ASAN_UNPOISON_MEMORY_REGION(memory, size) ((void)0)
enum { FENCE = 0 };
#endif

/* Buffers are laid out in one block: first with a block of NULL, which only adds up the size, then
 * with the memory. Each begins on a cache line. */
struct block {
    char *memory;
    size_t used;
    bool overflow;
};

static void *
take(struct block *block, size_t count, size_t size)
{
    const size_t bytes = bp_size_product(count, size);
    void *at = block->memory ? block->memory + block->used : NULL;

    if (bytes > SIZE_MAX / 4 || block->used > SIZE_MAX / 4) {
        block->overflow = true;
        return at;
    }
    block->used += (bytes + 63) / 64 * 64 + FENCE;
    if (at)
        ASAN_POISON_MEMORY_REGION((char *)at + bytes, (bytes + 63) / 64 * 64 + FENCE - bytes);
    return at;
}

size_t
bp_parts(const struct bp_network *net, size_t l)
{
    const struct bp_layer *layer = &net->layers[l];
    const size_t chunks = bp_quotient_up(layer->inputs, BP_CHUNK_ROWS);
    return bp_panels(net, layer->outputs) * (chunks + layer->bias);
}

static bp_real *
take_panels(struct block *block, const struct bp_network *net, size_t columns, size_t stride)
{
    return take(block, bp_panels(net, columns), stride * net->kernels->size);
}

/* Rounded factors of `rows` rows of layers of at most `nodes` nodes. */
static void
take_rounded(struct block *block, const struct bp_network *net, size_t rows, size_t nodes,
             size_t threads, struct bp_rounded *rounded)
{
    const size_t row_panels = bp_panels(net, rows), node_panels = bp_panels(net, nodes);
    const size_t row_strips = (row_panels + 1) / 2, node_strips = (node_panels + 1) / 2;

    rounded->rows_stride = bp_padded(rows + BP_ROWS_BEYOND) * BP_STRIP;
    rounded->turned_stride = bp_padded(nodes + BP_ROWS_BEYOND) * BP_STRIP;
    rounded->delta_stride = bp_padded(row_strips * BP_STRIP / 2) * BP_STRIP;
    for (size_t i = 0; i < 2; i++) {
        rounded->rows[i] = take(block, node_strips, rounded->rows_stride * sizeof(bp_bfloat16));
        rounded->turned[i] = take(block, row_strips, rounded->turned_stride * sizeof(bp_bfloat16));
        rounded->delta[i] = take(block, node_panels, rounded->delta_stride * sizeof(bp_bfloat16));
    }
    rounded->pieces = take(block, threads, BP_PIECE * sizeof(bp_bfloat16));
}

/* For passes of `threads` threads at most. */
static void
take_sum_parts(struct block *block, const struct bp_network *net, const struct bp_workspace *ws, size_t threads,
               bool backward, struct bp_sum_parts *parts)
{
    const size_t size = net->kernels->size, turned = bp_panels(net, ws->rows) * net->kernels->panel;
    size_t layer = 0;

    for (size_t l = 0; l < net->count; l++)
        if (bp_is_large(net, l)) {
            layer = bp_larger(layer, bp_panels(net, net->layers[l].outputs) * ws->stride);
            if (backward)
                layer = bp_larger(layer, bp_padded(net->layers[l].inputs) * turned);
        }
    if (layer == 0)
        return;
    parts->own_each = BP_OWN_ROOM * net->kernels->panel;
    parts->common_each = layer;
    parts->own = take(block, threads * (BP_QUARTERS - 1), bp_size_product(parts->own_each, size));
    parts->common = take(block, bp_most_parts(threads, ws->rows) - 1, bp_size_product(layer, size));
}

static void
carve(struct bp_workspace *ws, struct block *block, const struct bp_network *net, size_t threads,
      unsigned flags)
{
    const size_t rows = ws->rows, size = net->kernels->size;

    ws->nodes = take(block, net->count, sizeof(*ws->nodes));
    if (!(flags & BP_SPARSE))
        ws->x = take_panels(block, net, net->layers[0].inputs, ws->stride);
    ws->y = take_panels(block, net, bp_targets(net), ws->stride);
    if (flags & BP_INPUT_GRADIENT)
        ws->dC_dx = take_panels(block, net, net->layers[0].inputs, ws->stride);
    if (flags & BP_MASK) {
        ws->mask = take_panels(block, net, net->layers[net->count - 1].outputs, ws->stride);
        ws->present = take_panels(block, net, net->layers[net->count - 1].outputs, ws->stride);
    }
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const bool keep_z = (flags & BP_KEEP_Z) || (l + 1 == net->count && net->fused) ||
                            layer->custom || (bp_needs_z(layer) && !(flags & BP_FORWARD_ONLY));
        struct bp_nodes nodes = {0};
        nodes.a = take_panels(block, net, layer->outputs, ws->stride);
        nodes.z = keep_z ? take_panels(block, net, layer->outputs, ws->stride) : nodes.a;
        if (!(flags & BP_FORWARD_ONLY)) {
            nodes.delta = take_panels(block, net, layer->outputs, ws->stride);
            nodes.dC_da = flags & BP_KEEP_Z ? take_panels(block, net, layer->outputs, ws->stride)
                                            : nodes.delta;
            if ((flags & BP_DROPOUT) && layer->dropout > 0)
                nodes.dropped = take_panels(block, net, layer->outputs, ws->stride);
        }
        if (ws->nodes)
            ws->nodes[l] = nodes;
    }
    if (flags & BP_ROUNDED)
        take_rounded(block, net, rows, ws->turned.stride / net->kernels->panel, threads,
                     &ws->rounded);
    else if (!(flags & BP_FORWARD_ONLY)) {
        ws->turned.delta[0] = take_panels(block, net, rows, ws->turned.stride);
        ws->turned.delta[1] = take_panels(block, net, rows, ws->turned.stride);
        ws->turned.dC_da = take_panels(block, net, rows, ws->turned.stride);
    }
    if (!(flags & BP_FORWARD_ONLY)) {
        size_t parts = 0;
        ws->scratch.gradient_chunk = bp_gradient_chunk(net);
        ws->scratch.gradient_chunks = take(block, threads, 3 * ws->scratch.gradient_chunk * size);
        for (size_t l = 0; l < net->count; l++)
            parts += bp_parts(net, l);
        ws->scratch.partial_sums = take(block, parts, sizeof(*ws->scratch.partial_sums));
        ws->scratch.deltas = take_panels(block, net, net->layers[0].outputs, net->kernels->panel);
    }
    if (!(flags & BP_ROUNDED))
        take_sum_parts(block, net, ws, threads, !(flags & BP_FORWARD_ONLY), &ws->sum_parts);
    ws->losses = take(block, rows, sizeof(*ws->losses));
    ws->factors = take(block, rows, sizeof(*ws->factors));
    ws->classes = take(block, rows, sizeof(*ws->classes));
    ws->wanted = take(block, rows, sizeof(*ws->wanted));
    ws->scratch.ahead = take(block, rows, sizeof(*ws->scratch.ahead));
}

/* The most nodes of any layer that is turned round: of the input layer where dC_dx is. */
static size_t
widest(const struct bp_network *net, unsigned flags)
{
    size_t nodes = 0;

    if (!(flags & BP_SPARSE) || (flags & BP_INPUT_GRADIENT))
        return net->widest;
    for (size_t l = 0; l < net->count; l++)
        if (net->layers[l].outputs > nodes)
            nodes = net->layers[l].outputs;
    return nodes;
}

enum bp_status
bp_workspace_lay_out(struct bp_workspace *ws, const struct bp_network *net, size_t rows,
                     size_t threads, unsigned flags)
{
    if (ws->block.memory && ws->rows == rows && ws->block.flags == flags)
        return BP_OK;
    if (rows > SIZE_MAX / 64 / net->kernels->panel) {
        bp_workspace_free(ws);
        return BP_TOO_LARGE;
    }
    struct block block = {0};
    struct bp_workspace next = {
        .rows = rows,
        .stride = bp_padded(rows) * net->kernels->panel,
        .turned.stride = bp_padded(widest(net, flags)) * net->kernels->panel,
        .block = {ws->block.memory, ws->block.size, flags},
    };
    bp_nonzeros_free(&ws->scratch.nonzeros);
    carve(&next, &block, net, threads, flags);
    if (block.overflow || block.used > next.block.size) {
        bp_workspace_free(ws);
        if (block.overflow)
            return BP_TOO_LARGE;
        next.block.memory = bp_allocate(1, block.used);
        next.block.size = block.used;
        if (!next.block.memory)
            return BP_NO_MEMORY;
    }
    block = (struct block){.memory = next.block.memory};
    ASAN_UNPOISON_MEMORY_REGION(next.block.memory, next.block.size);
    carve(&next, &block, net, threads, flags);
    *ws = next;
    return BP_OK;
}

enum bp_status
bp_workspace_for(struct bp_workspace *ws, const struct bp_network *net, const struct bp_data *data,
                 size_t rows, size_t threads, unsigned flags)
{
    if (data->mask.data)
        flags |= BP_MASK;
    if (!bp_is_sparse(&data->x))
        return bp_workspace_lay_out(ws, net, rows, threads, flags);
    enum bp_status status = bp_workspace_lay_out(ws, net, rows, threads, flags | BP_SPARSE);
    if (status == BP_OK)
        status = bp_nonzeros_lay_out(&ws->scratch.nonzeros, net, rows,
                                     bp_most_nonzeros(&data->x, rows), threads,
                                     !(flags & BP_FORWARD_ONLY));
    if (status != BP_OK)
        bp_workspace_free(ws);
    return status;
}

void
bp_workspace_free(struct bp_workspace *ws)
{
    bp_nonzeros_free(&ws->scratch.nonzeros);
    bp_free(ws->block.memory);
    memset(ws, 0, sizeof(*ws));
}
