#include "averaging.h"

#include <string.h>

#include "core/network/freedom.h"
#include "core/network/functions.h"
#include "core/train/feed.h"
#include "core/train/methods/method.h"
#include "core/train/stop.h"
#include "rows.h"
#include "words.h"

/* packed = the mean over all ranks of theirs. Every thread. */
static void
average(struct worker *worker, bp_real *packed)
{
    struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;
    const struct bp_ranks *ranks = run->asked->ranks;
    const struct bp_network *net = pass->net;
    const size_t panel = net->kernels->panel;
    const double share = 1 / (double)ranks->count;
    size_t first, last;

    if (pass->me == 0 && !ranks->reduce(ranks->context, net->kernels->dtype, net->packed, packed))
        run->verdict.status = BP_FAILED;
    bp_meet(pass->team);
    bp_share(net->packed / panel, pass->threads, pass->me, &first, &last);
    net->kernels->scale_rows(1, last - first, &share, bp_at(net, packed, first * panel), panel);
    bp_meet(pass->team);
}

/* The most steps that a rank made since the last exchange, `made` being this one's. Thread 0. */
static size_t
most_steps(struct run *run, size_t made)
{
    const struct bp_ranks *ranks = run->asked->ranks;
    double *of_ranks = run->exchange.steps;
    size_t most = made;

    memset(of_ranks, 0, ranks->count * sizeof(*of_ranks));
    of_ranks[ranks->me] = (double)made;
    bp_reduce(run, ranks->count, of_ranks);
    for (size_t i = 0; i < ranks->count; i++)
        if ((size_t)of_ranks[i] > most)
            most = (size_t)of_ranks[i];
    return most;
}

/* All ranks become the same, after `made` steps of this one on `rows` rows since the last time;
 * false when the epoch or training ends here. */
static bool
agree(struct worker *worker, size_t made, size_t rows)
{
    struct run *run = worker->run;
    const struct bp_pass *pass = &worker->pass;

    if (pass->me == 0) {
        double *words = run->exchange.words;
        bp_write_words(run, (struct bp_rows){0}, words);
        words[BP_LOST] += bp_failed(pass->net);
        words[BP_ROWS] = (double)rows;
        bp_reduce(run, BP_WORDS, words);
        bp_apply_words(run);
        if (run->asked->stream && run->verdict.status == BP_OK) { /* streams may end unevenly */
            run->exchange.ahead = most_steps(run, made) - made;
            run->steps += run->exchange.ahead;
        }
        run->exchange.average = run->verdict.status == BP_OK && words[BP_ROWS] > 0;
    }
    bp_meet(pass->team);
    if (!run->exchange.average)
        return false;
    worker->step += run->exchange.ahead;
    average(worker, run->vectors.parameters);
    if (pass->me == 0) { /* a mean of equal numbers may be rounded */
        bp_pack_frozen(pass->net, run->asked->parameters, run->vectors.parameters);
        bp_mask_vector(pass->net, (struct bp_vector){run->vectors.parameters, true});
    }
    for (size_t s = 0; s < bp_state_count(run->asked->optimizer); s++)
        average(worker, run->vectors.state[s]);
    return bp_decided(worker);
}

void
bp_steps_alone(struct worker *worker)
{
    const struct run *run = worker->run;
    const struct bp_training *t = run->asked;
    struct place place = {0};
    bool going = true;

    for (size_t done = 0; t->stream || done < t->ranks->steps;) {
        size_t made = 0, rows_since = 0;
        for (; made < t->ranks->average_every; made++) {
            const struct bp_rows rows = bp_rows_of_rank(t->ranks, bp_next_batch(worker, &place));
            const size_t step = worker->step;
            if (t->stream ? place.ended : done + made == t->ranks->steps)
                break;
            if (worker->pass.me == 0)
                (void)bp_ready_rates(worker->run, step, 1);
            going = bp_decided(worker) && going; /* all meet, also once it is decided */
            if (rows.count > 0 && going) {
                going = run->applied.method->step(worker, &rows, &(struct bp_rows){0});
                if (!going) /* some may still be adding up this block, which the next replaces */
                    bp_meet(worker->pass.team);
            }
            else if (worker->pass.me == 0)
                worker->run->steps++;
            worker->step = step + 1;
            rows_since += rows.count;
        }
        done += made;
        if (!agree(worker, made, rows_since))
            return;
    }
}
