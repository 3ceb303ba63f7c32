#include "patience.h"

#include <string.h>

/* Σ_l ½ l2 Σ w² */
static double
penalty_of(const struct bp_population *p, size_t i, const bp_real *parameters)
{
    const struct bp_network *net = p->net;
    double penalty = 0;

    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const double squares = net->kernels->pairwise_squares(
            layer->inputs * layer->outputs, bp_at(net, (bp_real *)parameters, layer->weights_at));
        penalty += 0.5 * bp_penalty_of_member(p, i, l).l2 * squares;
    }
    return penalty;
}

bool
bp_ends_by_itself(const struct bp_population *p, size_t i, size_t epoch, const bp_real *before)
{
    const struct bp_patience *own = &p->patience;
    const size_t parameters = p->net->parameters;
    const double objective = bp_figure_of(p, BP_LOSS, epoch)[i] + penalty_of(p, i, before);

    own->objective[epoch * p->members.count + i] = objective;
    own->epochs[i]++;
    own->waited[i] = -objective >= own->best[i] + own->tol[i] ? 0 : own->waited[i] + 1;
    if (-objective > own->best[i]) {
        own->best[i] = -objective;
        memcpy(bp_at(p->net, own->kept, i * parameters), before, parameters * p->net->kernels->size);
    }
    if ((double)own->waited[i] <= own->most[i])
        return false;
    own->ended[i] = 1;
    p->members.active[i] = 0;
    return true;
}
