/* train.h: the epoch loop. Depends on training.h. */
#ifndef BP_TRAIN_H
#define BP_TRAIN_H

#include "training.h"

/* Trains epoch by epoch. Parameters and optimizer state are those after the last epoch of finite
 * numbers, also for BP_DIVERGED and BP_FAILED, or for BP_INTERRUPTED after the last step, if they
 * are finite. Nothing has changed for BP_NO_MEMORY, BP_TOO_LARGE and BP_NO_THREAD, but by blocks
 * that are larger than all before them. With ranks, all end after the same step: BP_ELSEWHERE where
 * another one did not go on. */
enum bp_status
bp_train(const struct bp_training *, struct bp_trained *);

#endif
