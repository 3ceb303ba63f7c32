/* input_layer.h: samples into x and y. Depends on pass.h. */
#ifndef BP_INPUT_LAYER_H
#define BP_INPUT_LAYER_H

#include "pass.h"

/* ws->x and ws->y from rows of the data; y may be left out. Then bp_meet(). */
void
bp_load_batch(const struct bp_pass *, const struct bp_data *, const struct bp_rows *, bool targets);

/* Asks for the thread's share of the rows that will be loaded next. */
void
bp_fetch_batch(const struct bp_pass *, const struct bp_data *, struct bp_rows next);

/* Has bp_backward of this batch ask for them, bit by bit, where it can. */
void
bp_fetch_in_backward(struct bp_pass *, const struct bp_data *, struct bp_rows next);

#endif
