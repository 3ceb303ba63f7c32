/* figures.h: loss and accuracy of an epoch. Depends on run.h. */
#ifndef BP_TRAIN_FIGURES_H
#define BP_TRAIN_FIGURES_H

#include "run.h"

/* Adds up what the batch in ws left; false where its loss is not finite, which ends training. */
bool
bp_add_up(struct worker *, const struct bp_workspace *ws, struct bp_rows);

/* Thread 0: the loss of a step is Σ w_n C_0 / Σ w_n; kept where settings.losses says so. */
void
bp_note_loss(struct run *, double loss, double weight);

/* Thread 0: writes the row of an epoch, but for its seconds. */
void
bp_write_record(const struct run *, size_t epoch, const struct sums *,
                const struct bp_results *validation);

#endif
