#include "feed.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "stop.h"

/* Room for all rows of this block in one batch, and for their order. */
static enum bp_status
make_room(struct run *run)
{
    struct feed *feed = &run->feed;
    const size_t rows = feed->data.x.rows;

    if (feed->order && rows > feed->room) {
        bp_free(feed->order);
        feed->room = rows;
        feed->order = bp_allocate(rows, sizeof(*feed->order));
        if (!feed->order)
            return BP_NO_MEMORY;
    }
    const bool was_sparse = run->ws.scratch.nonzeros != NULL;
    if (!bp_is_sparse(&feed->data.x) && !was_sparse &&
        (!run->asked->stream->whole || rows <= run->ws.rows))
        return BP_OK;
    const size_t room = run->asked->stream->whole && rows > run->ws.rows ? rows : run->ws.rows;
    return bp_workspace_for(&run->ws, run->asked->net, &feed->data, room, run->applied.threads,
                            run->ws.block.flags & ~(unsigned)(BP_SPARSE | BP_MASK));
}

/* Thread 0: the stream has failed, or ends training after whole steps. */
static void
end_stream(struct run *run)
{
    if (run->asked->stream->interrupted && !run->asked->ranks)
        run->verdict.stop = true;
    else
        run->verdict.status = BP_FAILED;
}

bool
bp_ready_rates(struct run *run, size_t step, size_t count)
{
    const struct bp_stream *stream = run->asked->stream;

    if (!stream || !stream->rates)
        return true;
    run->feed.rates = stream->rates(stream->context, step, count);
    run->feed.rates_from = step;
    if (!run->feed.rates)
        end_stream(run);
    return run->feed.rates != NULL;
}

/* The next block of a stream; false after the last one, or where verdict says why not. */
static bool
take_block(struct worker *worker, bool first)
{
    struct run *run = worker->run;
    struct feed *feed = &run->feed;
    const struct bp_stream *stream = run->asked->stream;

    feed->place = first ? 0 : feed->place + feed->data.x.rows;
    if (!stream->next(stream->context, &feed->data))
        end_stream(run);
    else if (feed->data.x.rows > 0)
        run->verdict.status = make_room(run);
    if (run->verdict.stop || run->verdict.status != BP_OK || feed->data.x.rows == 0)
        return false;
    const size_t batch = bp_rows_of_step(run);
    const size_t steps = bp_quotient_up(feed->data.x.rows, batch);
    return run->asked->ranks || bp_ready_rates(run, worker->step, steps);
}

static size_t
samples_of_block(const struct run *run)
{
    const struct bp_chosen chosen = run->asked->chosen;
    return chosen.rows ? chosen.count : run->feed.data.x.rows;
}

/* Thread 0: the samples of this block, still in their own order */
static void
begin_order(struct run *run)
{
    const struct bp_chosen chosen = run->asked->chosen;
    const size_t count = samples_of_block(run);
    uint32_t *order = run->feed.order;

    for (size_t n = 0; n < count; n++)
        order[n] = chosen.rows ? chosen.rows[n] : (uint32_t)n;
    atomic_store_explicit(&run->feed.unsettled, count, memory_order_relaxed);
}

bool
bp_settle_order(struct run *run)
{
    struct feed *feed = &run->feed;
    const struct bp_poll poll = {bp_poll_if_due, run};

    if (atomic_load_explicit(&feed->unsettled, memory_order_relaxed) > 0 &&
        !bp_settle(run->asked->random, feed->order, &feed->unsettled, poll))
        run->verdict.stop = true;
    return !run->verdict.stop;
}

/* Thread 0: room for the losses of the steps of this block; false where memory is short. */
static bool
make_room_for_losses(struct run *run)
{
    struct bp_step_losses *losses = &run->trained->losses;
    const size_t batch = bp_rows_of_step(run), rows = samples_of_block(run);
    const size_t needed = losses->count + bp_quotient_up(rows, batch);

    if (needed <= losses->room)
        return true;
    const size_t room = needed < 2 * losses->room ? 2 * losses->room : needed;
    double *numbers = bp_allocate(room, sizeof(*numbers));
    if (!numbers) {
        run->verdict.status = BP_NO_MEMORY;
        return false;
    }
    if (losses->count > 0)
        memcpy(numbers, losses->numbers, losses->count * sizeof(*numbers));
    bp_free(losses->numbers);
    losses->numbers = numbers;
    losses->room = room;
    return true;
}

bool
bp_next_block(struct worker *worker, bool first)
{
    struct run *run = worker->run;
    struct feed *feed = &run->feed;

    if (!run->asked->stream && !first) /* all samples were in the first one */
        return false;
    if (worker->pass.me == 0) {
        feed->more = !run->asked->stream || take_block(worker, first);
        if (feed->more && feed->order) {
            begin_order(run);
            /* ranks end together only: each goes on to the next exchange, where the others hear of it before they step */
            feed->more = run->applied.settles || bp_settle_order(run) || run->asked->ranks;
        }
        if (feed->more && run->asked->settings.losses)
            feed->more = make_room_for_losses(run);
    }
    bp_meet(worker->pass.team);
    return feed->more;
}

void
bp_share_weight(const struct bp_data *data, struct bp_rows rows, struct bp_rows batch, double sign,
                double *factors)
{
    double sum = 0;

    for (size_t n = 0; n < batch.count; n++)
        sum += bp_weight_of(data, batch, n);
    for (size_t n = 0; n < rows.count; n++) /* a batch without weight does not move anything */
        factors[n] = sum == 0 ? 0 : sign * bp_weight_of(data, rows, n) / sum;
}
