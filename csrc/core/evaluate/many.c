#include "many.h"

#include <stdatomic.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/base/tasks.h"
#include "core/passes/alone.h"
#include "core/passes/lanes.h"
#include "places.h"

enum {
    ROWS = 128,          /* that go through the network at a time, but for those in lanes */
    MOST_ROWS = 1 << 20, /* whose losses are kept until they are added */
    EACH = 8             /* parts for each thread, so that a slow one costs little */
};

/* Rows [first, first + count) as samples of their own. */
static struct bp_data
part_of(const struct bp_data *data, size_t first, size_t count)
{
    struct bp_data part = *data;

    part.x.data += (ptrdiff_t)first * part.x.row_stride;
    part.x.rows = count;
    part.y.rows = count;
    if (part.y.data)
        part.y.data += (ptrdiff_t)first * part.y.row_stride;
    if (part.weights)
        part.weights += first;
    if (part.mask.data) {
        part.mask.data += (ptrdiff_t)first * part.mask.row_stride;
        part.mask.rows = count;
    }
    return part;
}

bool
bp_may_divide(const struct bp_data *data)
{
    return !bp_is_sparse(&data->x);
}

struct evaluating {
    const struct bp_many *many;
    struct bp_workspace *places;
    const struct bp_results *results;
    double *losses; /* (n,), or NULL without targets */
    size_t rows;    /* of a part */
    bool targets, lanes;
    atomic_size_t right;
};

/* A group of samples in lanes, the first of which is number n; how many of them are right. */
static size_t
evaluate_group(const struct evaluating *e, struct bp_pass *pass, size_t n, size_t count)
{
    const struct bp_network *net = pass->net;
    const struct bp_data *data = e->many->data;
    const struct bp_rows rows = {NULL, n, count};
    const size_t outputs = net->layers[net->count - 1].outputs;
    struct bp_loss_sums sums = {0};

    bp_lanes_load(pass, data, rows, e->targets);
    bp_lanes_forward(pass);
    if (e->targets)
        sums = bp_lanes_losses(pass, data, rows);
    for (size_t i = 0; e->losses && i < count; i++)
        e->losses[n + i] = bp_weight_of(data, rows, i) * pass->ws->losses[bp_lanes_row(net, i)];
    if (e->results->outputs)
        bp_lanes_outputs(pass, count, bp_at(net, e->results->outputs, n * outputs));
    if (e->results->classes)
        bp_lanes_classes(pass, count, e->results->classes + n);
    return sums.right;
}

static enum bp_status
evaluate_part(void *context, size_t me, size_t i, struct bp_poll poll)
{
    struct evaluating *e = context;
    const struct bp_many *many = e->many;
    const struct bp_network *net = many->net;
    const size_t first = i * e->rows, count = bp_smaller(e->rows, many->data->x.rows - first);
    const size_t outputs = net->layers[net->count - 1].outputs, group = bp_lanes_rows(net);
    struct bp_watch watch = {.poll = poll, .asked = bp_seconds_now()};
    struct bp_workspace *ws = &e->places[me];
    struct bp_pass pass = bp_pass_alone(net, ws, many->parameters, many->data);
    struct bp_results own = {0};

    for (size_t n = 0; e->lanes && n < count && !bp_watch_stops(&watch); n += group)
        own.right += evaluate_group(e, &pass, first + n, bp_smaller(group, count - n));
    if (!e->lanes) {
        const struct bp_data part = part_of(many->data, first, count);
        if (e->results->outputs)
            own.outputs = bp_at(net, e->results->outputs, first * outputs);
        own.classes = e->results->classes ? e->results->classes + first : NULL;
        own.losses = e->losses ? e->losses + first : NULL;
        ws->scratch.watch = &watch;
        bp_evaluate(&pass, &part, e->targets, &own);
    }
    atomic_fetch_add(&e->right, own.right);
    return watch.stopped ? BP_INTERRUPTED : BP_OK;
}

/* At most MOST_ROWS rows; their losses are added to results->total, in order. */
static enum bp_status
evaluate_rows(const struct bp_many *many, bool targets, struct bp_results *results)
{
    const struct bp_data *data = many->data;
    const size_t rows = data->x.rows;
    const bool lanes = bp_fits_lanes(many->net, rows) && rows <= UINT32_MAX;
    const size_t together = lanes ? bp_lanes_rows(many->net) : ROWS;
    const size_t parts = rows / (EACH * many->threads) / together + 1;
    enum bp_status status;
    double *own = targets && !results->losses ? bp_allocate(rows, sizeof(*own)) : NULL;
    struct evaluating e = {
        .many = many,
        .places = bp_make_places(many, together, lanes ? 0 : BP_FORWARD_ONLY, &status),
        .results = results,
        .losses = own ? own : results->losses,
        .rows = parts * together,
        .targets = targets,
        .lanes = lanes,
    };

    if (targets && !e.losses)
        status = BP_NO_MEMORY;
    if (status == BP_OK)
        status = bp_do_tasks(&(struct bp_tasks){
            .count = bp_quotient_up(rows, e.rows),
            .threads = many->threads,
            .task = evaluate_part,
            .context = &e,
            .poll = many->poll,
        });
    for (size_t n = 0; status == BP_OK && targets && n < rows; n++)
        results->total += e.losses[n];
    results->right += e.right;
    bp_free_places(many, e.places);
    bp_free(own);
    return status;
}

enum bp_status
bp_evaluate_many(const struct bp_many *many, bool targets, struct bp_results *results)
{
    const struct bp_network *net = many->net;
    const size_t rows = many->data->x.rows, outputs = net->layers[net->count - 1].outputs;
    struct bp_watch watch = {.poll = many->poll, .asked = bp_seconds_now()};
    enum bp_status status = BP_OK;

    results->total = 0;
    results->right = 0;
    results->weight = bp_sum_of_weights(many->data);
    results->samples = rows;
    for (size_t n = 0; n < rows && status == BP_OK; n += MOST_ROWS) {
        const struct bp_data data = part_of(many->data, n, bp_smaller(MOST_ROWS, rows - n));
        struct bp_many part = *many;
        struct bp_results own = *results;
        part.data = &data;
        if (own.outputs)
            own.outputs = bp_at(net, own.outputs, n * outputs);
        own.classes = own.classes ? own.classes + n : NULL;
        own.losses = own.losses ? own.losses + n : NULL;
        status = evaluate_rows(&part, targets, &own);
        results->total = own.total;
        results->right = own.right;
        if (status == BP_OK && many->poll.ask && bp_watch_stops(&watch)) /* a part may be short */
            status = BP_INTERRUPTED;
    }
    return status;
}
