#include "figures.h"

#include "core/network/functions.h"
#include "words.h"

bool
bp_reduce_figures(struct run *run, struct sums *sums, struct bp_results *validation)
{
    const struct bp_ranks *ranks = run->asked->ranks;
    double figures[] = {
        sums->loss,
        sums->weight,
        (double)sums->right,
        (double)sums->samples,
        sums->norm / (double)ranks->count,
        validation->total,
        validation->weight,
        (double)validation->samples,
        (double)validation->right,
        run->verdict.enough,
        run->verdict.stop,
        bp_failed(run->asked->net),
    };

    bp_reduce(run, sizeof(figures) / sizeof(*figures), figures);
    if (run->verdict.status != BP_OK)
        return false;
    sums->loss = figures[0];
    sums->weight = figures[1];
    sums->right = (size_t)figures[2];
    sums->samples = (size_t)figures[3];
    sums->norm = figures[4];
    validation->total = figures[5];
    validation->weight = figures[6];
    validation->samples = (size_t)figures[7];
    validation->right = (size_t)figures[8];
    run->verdict.enough = figures[9] > 0;
    run->verdict.stop = figures[10] > 0;
    if (figures[11] > 0)
        run->verdict.status = bp_failed(run->asked->net) ? BP_FAILED : BP_ELSEWHERE;
    return run->verdict.status == BP_OK && !run->verdict.stop;
}
