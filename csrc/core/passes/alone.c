#include "alone.h"

void
bp_forward_to_delta(const struct bp_pass *pass, const struct bp_data *data, size_t n, double factor)
{
    bp_load_batch(pass, data, (struct bp_rows){NULL, n, pass->rows}, true);
    for (size_t i = 0; i < pass->rows; i++)
        pass->ws->factors[i] = factor;
    bp_forward(pass);
    bp_losses(pass);
    bp_delta_from_loss(pass);
}
