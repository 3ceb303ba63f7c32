#include "evidence.h"

#include <math.h>

static const double MOST = 1e8; /* of a λ: its parameters are then as good as 0 */
static const double LEAST = 1e-9; /* of γ for each of its parameters: less is rounding */
static const double TWO_PI = 6.283185307179586;

/* The parameters of group g: weights of the layers, then biases of the layers, as in `penalties`. */
struct group {
    size_t first, last;
    bool penalized;
};

static struct group
group_of(const struct bp_network *net, size_t g)
{
    const size_t l = g % net->count;
    const struct bp_layer *layer = &net->layers[l];
    const size_t biases = layer->weights_at + layer->inputs * layer->outputs;

    if (g < net->count)
        return (struct group){layer->weights_at, biases, true};
    return (struct group){biases, biases + (layer->bias ? layer->outputs : 0), l + 1 < net->count};
}

/* what those of a group that move come to */
struct part {
    double count, squares, effective; /* Σ w², γ */
};

static struct part
add_up(const struct bp_evidence *e, struct group group, double penalty)
{
    struct part part = {0};

    for (size_t p = group.first; p < group.last; p++) {
        if (e->free && !e->free[p])
            continue;
        part.count++;
        part.squares += e->w[p] * e->w[p];
        part.effective += 1 - (penalty > 0 ? penalty * e->diagonal[p] : 0);
    }
    return part;
}

void
bp_first_penalties(const struct bp_evidence *e, struct bp_levenberg *own)
{
    const size_t layers = e->net->count;
    const double variance = e->errors / fmax((double)own->residuals, 1);

    own->effective = 0;
    own->log_evidence = 0;
    for (size_t g = 0; g < 2 * layers; g++) {
        const struct group group = group_of(e->net, g);
        const struct part part = add_up(e, group, 0);
        own->effective += part.count;
        if (g < layers) {
            const double usual = part.squares > 0 ? part.squares / part.count : 1;
            own->penalties[g] = fmin(variance / usual, MOST);
        }
        else
            own->penalties[g] = group.penalized ? own->penalties[g - layers] : 0;
    }
}

void
bp_next_penalties(const struct bp_evidence *e, struct bp_levenberg *own)
{
    const size_t groups = 2 * e->net->count;
    double effective = 0, without = 0, penalty = 0, logarithms = 0;

    for (size_t g = 0; g < groups; g++) {
        const struct part part = add_up(e, group_of(e->net, g), own->penalties[g]);
        effective += part.effective;
        penalty += own->penalties[g] * part.squares;
        if (own->penalties[g] > 0)
            logarithms += part.count * log(own->penalties[g]);
        else
            without += part.count;
    }
    const double count = (double)own->residuals;
    const double variance = e->errors / fmax(count - effective, 1);
    own->effective = effective;
    own->log_evidence = -(e->errors + penalty) / variance / 2 - e->log_determinant / 2 +
                        logarithms / 2 - (count - without) / 2 * log(TWO_PI * variance);
    for (size_t g = 0; g < groups; g++) {
        const struct group group = group_of(e->net, g);
        const struct part part = add_up(e, group, own->penalties[g]);
        const bool determined = part.effective > LEAST * part.count && part.squares > 0;
        own->penalties[g] = !group.penalized || part.count == 0 ? 0
                            : determined ? fmin(part.effective / part.squares * variance, MOST)
                                         : MOST;
    }
}

void
bp_spread_penalties(const struct bp_evidence *e, const struct bp_levenberg *own,
                    double *of_parameters)
{
    for (size_t g = 0; g < 2 * e->net->count; g++) {
        const struct group group = group_of(e->net, g);
        for (size_t p = group.first; p < group.last; p++)
            of_parameters[p] = e->free && !e->free[p] ? 0 : own->penalties[g];
    }
}
