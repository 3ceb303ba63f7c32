#include "rows.h"

#include "core/train/feed.h"

struct bp_rows
bp_next_batch(struct worker *worker, struct place *place)
{
    const struct run *run = worker->run;

    if (!place->begun || (!place->ended && place->first == place->rows)) {
        place->ended = !bp_next_block(worker, !place->begun);
        place->begun = true;
        place->first = 0;
        place->rows = run->feed.data.x.rows;
    }
    if (place->ended)
        return (struct bp_rows){0};
    const struct bp_rows batch = bp_batch_at(run, place->first);
    place->first += batch.count;
    return batch;
}

struct bp_rows
bp_rows_of_rank(const struct bp_ranks *ranks, struct bp_rows batch)
{
    size_t first, last;

    if (ranks->sharded)
        return batch;
    bp_share(batch.count, ranks->count, ranks->me, &first, &last);
    return (struct bp_rows){batch.order, batch.first + first, last - first};
}
