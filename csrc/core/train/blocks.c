/* blocks.c: the samples of an epoch, block by block where they come from a stream. */
#include "run.h"

#include "core/base/memory.h"
#include "core/base/random.h"

/* Room for all rows of this block in one batch, and for their order. */
static enum bp_status
make_room(struct run *run)
{
    const struct bp_training *t = run->t;
    const size_t rows = t->data.x.rows;

    if (run->order && rows > run->order_room) {
        bp_free(run->order);
        run->order_room = rows;
        run->order = bp_allocate(rows, sizeof(*run->order));
        if (!run->order)
            return BP_NO_MEMORY;
    }
    if (!t->stream->whole || rows <= run->ws->rows)
        return BP_OK;
    return bp_workspace_lay_out(run->ws, t->net, rows, t->threads, run->ws->block.flags);
}

/* Thread 0: the stream has failed, or ends training after whole steps. */
static void
end_stream(struct run *run)
{
    if (run->t->stream->interrupted && !run->t->ranks)
        run->stop = true;
    else
        run->status = BP_FAILED;
}

bool
bp_ready_rates(struct run *run, size_t step, size_t count)
{
    const struct bp_stream *stream = run->t->stream;

    if (!stream || !stream->rates)
        return true;
    run->rates = stream->rates(stream->context, step, count);
    run->rates_from = step;
    if (!run->rates)
        end_stream(run);
    return run->rates != NULL;
}

static bool
ready_block(struct worker *worker, bool first)
{
    struct run *run = worker->run;
    struct bp_training *t = run->t;

    if (t->stream) {
        run->place = first ? 0 : run->place + t->data.x.rows;
        if (!t->stream->next(t->stream->context, &t->data))
            end_stream(run);
        else if (t->data.x.rows > 0)
            run->status = make_room(run);
        if (run->stop || run->status != BP_OK || t->data.x.rows == 0)
            return false;
        const size_t rows = t->data.x.rows; /* of which more than a batch may be loaded together */
        const size_t steps = t->stream->whole ? 1 : (rows + t->batch - 1) / t->batch;
        if (!t->ranks && !bp_ready_rates(run, worker->step, steps))
            return false;
    }
    else if (!first)
        return false;
    if (run->order)
        bp_shuffle(t->random, t->data.x.rows, run->order);
    return true;
}

bool
bp_next_block(struct worker *worker, bool first)
{
    if (worker->pass.me == 0)
        worker->run->fed = ready_block(worker, first);
    bp_meet(worker->pass.team);
    return worker->run->fed;
}
