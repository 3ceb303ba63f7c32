#include "figures.h"

#include "core/network/functions.h"
#include "words.h"

bool
bp_reduce_figures(struct run *run, struct sums *sums, struct bp_results *validation,
                  double *held_out)
{
    const struct bp_ranks *ranks = run->asked->ranks;
    double figures[] = {
        sums->loss,
        sums->weight,
        (double)sums->right,
        (double)sums->samples,
        sums->norm / (double)ranks->count,
        validation->total,
        (double)validation->right,
        ranks->sharded || ranks->me == 0 ? *held_out : 0,
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
    validation->right = (size_t)figures[6];
    *held_out = figures[7];
    run->verdict.enough = figures[8] > 0;
    run->verdict.stop = figures[9] > 0;
    if (figures[10] > 0)
        run->verdict.status = bp_failed(run->asked->net) ? BP_FAILED : BP_ELSEWHERE;
    return run->verdict.status == BP_OK && !run->verdict.stop;
}
