/* train_population.h: the training of a population. Depends on population.h. */
#ifndef BP_TRAIN_POPULATION_H
#define BP_TRAIN_POPULATION_H

#include "population.h"

/* Trains all active members. Each ends as bp_train would leave it: one that diverges keeps its last
 * finite epoch and is no longer active; BP_INTERRUPTED leaves each after a whole step of its own.
 * BP_FAILED where a function of the user's did. Where memory or threads are short, some members may
 * have been trained, and the others have not. */
enum bp_status
bp_train_population(const struct bp_population *);

#endif
