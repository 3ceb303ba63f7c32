#include "step.h"

#include <math.h>

#include "core/network/freedom.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "core/passes/lazy.h"
#include "core/passes/whole_gradient.h"

double
bp_step(const struct bp_network *net, struct bp_workspace *ws, bp_real *parameters,
        const struct bp_data *data, struct bp_optimizer *optimizer, bp_real *gradient,
        const struct bp_dropout *dropout, struct bp_halt *halt)
{
    struct bp_pass pass = bp_pass_alone(net, ws, parameters, data);
    const bool plain = bp_is_plain(net, optimizer);
    const double weight = bp_sum_of_weights(data);
    double total = 0;

    bp_mask_vector(net, (struct bp_vector){parameters, false});
    pass.rows = data->x.rows;
    pass.sums = bp_grouping_of(net, pass.rows);
    pass.dropout = dropout;
    pass.halt = halt;
    bp_forward_to_delta(&pass, data, 0, (plain ? -optimizer->rate : 1) / weight);
    for (size_t i = 0; i < pass.rows; i++)
        total += bp_weight_of(data, (struct bp_rows){0}, i) * ws->losses[i];
    if (plain)
        bp_backward(&pass, &(struct bp_update){.what = BP_DESCEND, .moving = true});
    else {
        const struct bp_vector whole = {gradient, false};
        struct bp_optimizer_step rule = bp_next_step(optimizer, optimizer->steps);
        bp_backward(&pass, &(struct bp_update){
                               .what = BP_STORE, .gradient = whole, .zeros = true,
                               .moving = bp_forgets(optimizer)});
        if (bp_failed(net) || bp_is_given_up(&pass))
            return total / weight;
        bp_mask_states(net, optimizer);
        if (net->penalized || isfinite(optimizer->clip_norm)) {
            const double norm = bp_finish_gradient(&pass, whole, 1);
            rule.scale = bp_clip_scale(norm, optimizer->clip_norm);
        }
        if (optimizer->lazy && ws->scratch.nonzeros)
            bp_optimize_columns(&pass, &rule, whole, optimizer->state);
        else
            bp_optimize(net, &rule, pass.parameters, optimizer->state, 0, net->parameters,
                        gradient);
    }
    optimizer->steps++;
    return total / weight;
}
