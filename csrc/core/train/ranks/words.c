#include "words.h"

#include "core/train/feed.h"
#include "core/train/stop.h"

void
bp_reduce(struct run *run, size_t count, double *numbers)
{
    const struct bp_ranks *ranks = run->asked->ranks;
    if (!ranks->reduce(ranks->context, BP_FLOAT64, count, numbers))
        run->verdict.status = BP_FAILED;
}

enum bp_status
bp_exchange_status(const struct bp_ranks *ranks, enum bp_status status)
{
    double lost = status != BP_OK;

    if (!ranks->reduce(ranks->context, BP_FLOAT64, 1, &lost))
        return BP_FAILED;
    return status == BP_OK && lost > 0 ? BP_ELSEWHERE : status;
}

void
bp_write_words(struct run *run, struct bp_rows rows, double words[BP_WORDS])
{
    words[BP_STOPPED] = run->verdict.stop || bp_asked_to_stop(run);
    words[BP_LOST] = run->verdict.status != BP_OK;
    words[BP_ROWS] = (double)rows.count;
    words[BP_WEIGHT] = 0;
    for (size_t n = 0; n < rows.count; n++)
        words[BP_WEIGHT] += bp_weight_of(&run->feed.data, rows, n);
}

void
bp_apply_words(struct run *run)
{
    run->verdict.stop = run->exchange.words[BP_STOPPED] > 0;
    if (run->exchange.words[BP_LOST] > 0 && run->verdict.status == BP_OK)
        run->verdict.status = BP_ELSEWHERE;
}
