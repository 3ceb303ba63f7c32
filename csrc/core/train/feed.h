/* feed.h: the samples of an epoch, block by block where they come from a stream, and the rates of
 * their steps. Depends on run.h. */
#ifndef BP_FEED_H
#define BP_FEED_H

#include "run.h"

/* Every thread: makes the next block of samples ready, all of them where there is no stream; false
 * after the last one, or where the verdict says why not. `first`: of the epoch. */
bool
bp_next_block(struct worker *, bool first);

/* Thread 0: shuffles what is not yet settled of the order, from the last place on; false where training is to end. */
bool
bp_settle_order(struct run *);

/* Returns when the order is settled from place `first` on: thread 0 is at it, or has been. */
static inline void
bp_await_order(const struct run *run, size_t first)
{
    bp_await_countdown(&run->feed.unsettled, first);
}

/* Thread 0: learning rates for `count` steps from this one on; false where the verdict says why.
 */
bool
bp_ready_rates(struct run *, size_t step, size_t count);

/* factors[n] = sign times the share of row n of `rows`, which are of `batch`, in the mean over
 * that. */
void
bp_share_weight(const struct bp_data *, struct bp_rows rows, struct bp_rows batch, double sign,
                double *factors);

/* Samples of a step of this block; its last one may have fewer. */
static inline size_t
bp_rows_of_step(const struct run *run)
{
    const struct bp_stream *stream = run->asked->stream;
    return stream && stream->whole ? run->feed.data.x.rows : run->applied.batch;
}

/* The learning rate of a step of this call. */
static inline double
bp_rate_of(const struct run *run, size_t step)
{
    const struct feed *feed = &run->feed;
    return feed->rates ? feed->rates[step - feed->rates_from] : run->asked->optimizer->rate;
}

/* The rows that are loaded together, from sample number `first` of this block: none at its end. */
static inline struct bp_rows
bp_batch_at(const struct run *run, size_t first)
{
    const struct bp_chosen chosen = run->asked->chosen;
    const struct bp_stream *stream = run->asked->stream;
    const size_t left = (chosen.rows ? chosen.count : run->feed.data.x.rows) - first;
    const size_t most = stream && stream->whole ? left : run->applied.together;
    return (struct bp_rows){run->feed.order ? run->feed.order : chosen.rows, first,
                            left < most ? left : most};
}

#endif
