#include "figures.h"

#include <math.h>

#include "core/passes/sums.h"
#include "feed.h"
#include "vectors.h"

void
bp_note_loss(struct run *run, double loss, double weight)
{
    struct bp_step_losses *losses = &run->trained->losses;

    if (run->asked->settings.losses && losses->count < losses->room)
        losses->numbers[losses->count++] = loss / weight; /* NaN where nothing has weight */
}

/* Thread 0: the loss of each step that the rows make. */
static void
note_losses(struct worker *worker, const struct bp_workspace *ws, struct bp_rows rows)
{
    struct run *run = worker->run;
    const struct bp_data *data = &run->feed.data;
    struct bp_loss_sums step = {0};

    if (rows.count <= bp_rows_of_step(run)) {
        bp_sum_losses(&worker->pass, ws, data, rows, &step);
        bp_note_loss(run, step.loss, step.weight);
        return;
    }
    for (size_t n = 0; n < rows.count; n++) { /* of a sample each */
        const double weight = bp_weight_of(data, rows, n);
        bp_note_loss(run, weight * ws->losses[n], weight);
    }
}

bool
bp_add_up(struct worker *worker, const struct bp_workspace *ws, struct bp_rows rows)
{
    struct run *run = worker->run;
    struct sums *sums = &worker->sums;
    struct bp_loss_sums batch = {.weight = sums->weight};

    bp_sum_losses(&worker->pass, ws, &run->feed.data, rows, &batch);
    sums->samples += rows.count;
    sums->loss += batch.loss;
    sums->weight = batch.weight;
    sums->right += batch.right;
    if (run->asked->settings.losses && worker->pass.me == 0)
        note_losses(worker, ws, rows);
    if (isfinite(batch.loss))
        return true;
    if (worker->pass.me == 0) {
        run->trained->bad_layer = bp_first_bad_layer(run, ws, rows.count);
        run->verdict.status = BP_DIVERGED;
    }
    return false;
}

void
bp_write_record(const struct run *run, size_t epoch, const struct sums *sums,
                const struct bp_results *validation)
{
    const struct bp_training *t = run->asked;
    double *record = t->record + epoch * BP_FIGURES;

    record[BP_LOSS] = sums->loss / sums->weight;
    record[BP_ACCURACY] = (double)sums->right / (double)sums->samples;
    record[BP_VALIDATION_LOSS] = NAN;
    record[BP_VALIDATION_ACCURACY] = NAN;
    if (t->validation) {
        record[BP_VALIDATION_LOSS] = validation->total / validation->weight;
        record[BP_VALIDATION_ACCURACY] = (double)validation->right / (double)validation->samples;
    }
    record[BP_GRADIENT_NORM] = t->settings.norms ? sums->norm / (double)sums->steps : NAN;
}
