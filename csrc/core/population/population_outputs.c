#include "population_outputs.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/base/tasks.h"
#include "core/evaluate/outputs.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"

enum { ROWS = 128 }; /* at a time */

/* one thread's */
struct place {
    struct bp_workspace ws;
    bp_real *parameters; /* of one member, with room behind them */
};

struct asking {
    const struct bp_members_asked *asked;
    struct place *places;
    bool targets;
};

static enum bp_status
ask_one(void *context, size_t me, size_t i, struct bp_poll poll)
{
    const struct asking *asking = context;
    const struct bp_members_asked *asked = asking->asked;
    const struct bp_network *net = asked->net;
    const struct bp_data *data = bp_data_of_member(&asked->data, i);
    const size_t outputs = net->layers[net->count - 1].outputs;
    struct place *place = &asking->places[me];
    struct bp_watch watch = {.poll = poll, .asked = bp_seconds_now()};
    struct bp_results results = {0};
    struct bp_pass pass = bp_pass_alone(net, &place->ws, place->parameters, data);

    memcpy(place->parameters, bp_const_at(net, asked->parameters, i * net->parameters),
           net->parameters * net->kernels->size);
    if (asked->outputs)
        results.outputs = bp_at(net, asked->outputs, i * data->x.rows * outputs);
    place->ws.scratch.watch = data->x.rows > ROWS ? &watch : NULL;
    bp_evaluate(&pass, data, asking->targets, &results);
    if (bp_failed(net))
        return BP_FAILED;
    if (watch.stopped)
        return BP_INTERRUPTED;
    if (asked->losses)
        asked->losses[i] = results.total / results.weight;
    if (asked->right)
        asked->right[i] = (double)results.right / (double)results.samples;
    return BP_OK;
}

static enum bp_status
make_place(struct place *place, const struct bp_members_asked *asked)
{
    const struct bp_data *data = asked->data.of;
    const size_t rows = data->x.rows < ROWS ? data->x.rows : ROWS;

    place->parameters = bp_allocate(bp_room(asked->net), asked->net->kernels->size);
    if (!place->parameters)
        return BP_NO_MEMORY;
    return bp_workspace_lay_out(&place->ws, asked->net, rows, 1,
                                BP_FORWARD_ONLY | (data->mask.data ? BP_MASK : 0U));
}

enum bp_status
bp_ask_members(const struct bp_members_asked *asked)
{
    const size_t threads = bp_smaller(asked->threads, asked->members);
    struct place *places = bp_allocate(threads, sizeof(*places));
    struct asking asking = {asked, places, asked->losses || asked->right};
    enum bp_status status = places ? BP_OK : BP_NO_MEMORY;
    const struct bp_tasks tasks = {
        .count = asked->members,
        .threads = threads,
        .task = ask_one,
        .context = &asking,
        .poll = asked->poll,
    };

    for (size_t i = 0; i < threads && status == BP_OK; i++)
        status = make_place(&places[i], asked);
    if (status == BP_OK)
        status = bp_do_tasks(&tasks);
    for (size_t i = 0; places && i < threads; i++) {
        bp_free(places[i].parameters);
        bp_workspace_free(&places[i].ws);
    }
    bp_free(places);
    return status;
}
