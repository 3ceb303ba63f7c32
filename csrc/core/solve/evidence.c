#include "evidence.h"

#include <float.h>
#include <math.h>

static const double MOST = 1e8;   /* of a λ: its parameters are then as good as 0 */
static const double LEAST = 1e-9; /* of γ for each of its parameters: less is rounding */
static const double TWO_PI = 6.283185307179586;
static const double DECADES = 6; /* that a λ may be in, a priori */

/* The one λ: by what it falls, where it ends beside N, and how often without a gain of evidence. */
static const double FALL = 1.5, LAST = 1e-12;
enum { PATIENCE = 6 };
static const double OF_BIASES = 10; /* the variance of biases meanwhile */
static const double DETERMINED = 0.5; /* γ of all weights below which they have gone to 0 */
/* The evidence rests where it changes by less so many times. */
static const double CHANGE = 0.1;
enum { CALM = 2 };

/* The parameters of group g. */
struct group {
    size_t first, last;
    bool weights, penalized;
};

static struct group
group_of(const struct bp_network *net, size_t g)
{
    const size_t inputs = net->layers[0].inputs, biases = inputs + net->count - 1;
    const size_t l = g < inputs ? 0 : g < biases ? g - inputs + 1 : g - biases;
    const struct bp_layer *layer = &net->layers[l];
    size_t first = layer->weights_at, count = layer->inputs * layer->outputs;

    if (g < inputs) {
        first += g * layer->outputs;
        count = layer->outputs;
    }
    if (g >= biases) {
        first = layer->bias_at;
        count = layer->bias ? layer->outputs : 0;
    }
    return (struct group){first, first + count, g < biases, g < biases || l + 1 < net->count};
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

/* λ of all weights, and the one of biases with this σ²; 0 where nothing moves */
static void
set_all(const struct bp_evidence *e, double penalty, double variance, double *penalties)
{
    for (size_t g = 0; g < bp_groups(e->net); g++) {
        const struct group group = group_of(e->net, g);
        penalties[g] = !group.penalized || add_up(e, group, 0).count == 0 ? 0
                       : group.weights                                    ? penalty
                                       : fmin(variance / OF_BIASES, MOST);
    }
}

/* The λ that all weights have. */
static double
one_penalty(const struct bp_evidence *e, const double *penalties)
{
    double most = 0;
    for (size_t g = 0; g < bp_groups(e->net); g++)
        most = group_of(e->net, g).weights ? fmax(most, penalties[g]) : most;
    return most;
}

void
bp_first_penalties(const struct bp_evidence *e, struct bp_bayes *bayes)
{
    const double count = fmax((double)bayes->residuals, 1);
    const double first = sqrt(count * e->errors) / 6;

    set_all(e, fmin(fmax(first, LAST * count), MOST), e->errors / count, bayes->penalties);
    bayes->stage = BP_ONE_PENALTY;
    bayes->waited = 0;
    bayes->kept_log_evidence = -DBL_MAX;
    for (size_t p = 0; p < e->net->parameters; p++)
        bayes->kept[p] = e->w[p];
}

/* What a λ costs that was found from γ parameters. */
static double
cost_of(double effective)
{
    return fmin(0, log(2 * TWO_PI / fmax(effective, LEAST)) / 2 - log(DECADES * log(10)));
}

/* γ and ln p(y) with the λ there are; σ², and γ of all weights. */
static double
weigh(const struct bp_evidence *e, const struct bp_bayes *bayes, struct bp_bayes *next,
      double *of_weights)
{
    const double count = (double)bayes->residuals;
    double effective = 0, without = 0, penalty = 0, logarithms = 0, cost = 0;

    *of_weights = 0;
    for (size_t g = 0; g < bp_groups(e->net); g++) {
        const struct group group = group_of(e->net, g);
        const double rate = bayes->penalties[g];
        const struct part part = add_up(e, group, rate);
        effective += part.effective;
        *of_weights += group.weights ? part.effective : 0;
        penalty += rate * part.squares;
        if (rate > 0)
            logarithms += part.count * log(rate);
        else
            without += part.count;
        if (bayes->stage == BP_RELEVANCE && group.penalized && part.count > 0)
            cost += cost_of(part.effective);
    }
    if (bayes->stage == BP_ONE_PENALTY)
        cost = cost_of(*of_weights);
    const double variance = fmax(e->errors / fmax(count - effective, 1), DBL_MIN);
    next->effective = effective;
    next->log_evidence = cost - (e->errors + penalty) / variance / 2 - e->log_determinant / 2 +
                         logarithms / 2 - (count - without) / 2 * log(TWO_PI * variance);
    return variance;
}

/* Each group's own λ, by the third equation. */
static void
set_each(const struct bp_evidence *e, const double *penalties, double variance, double *next)
{
    for (size_t g = 0; g < bp_groups(e->net); g++) {
        const struct group group = group_of(e->net, g);
        const struct part part = add_up(e, group, penalties[g]);
        const bool determined = part.effective > LEAST * part.count && part.squares > 0;
        next[g] = !group.penalized || part.count == 0 ? 0
                  : determined ? fmin(part.effective / part.squares * variance, MOST)
                               : MOST;
    }
}

static void
take_kept(const struct bp_network *net, const struct bp_bayes *bayes, struct bp_bayes *next)
{
    for (size_t g = 0; g < bp_groups(net); g++)
        next->penalties[g] = bayes->kept_penalties[g];
    next->effective = bayes->kept_effective;
    next->log_evidence = bayes->kept_log_evidence;
}

/* The one λ falls. Where it has left nothing to the data all weights are 0, from where no gradient
 * leads away: they begin anew. */
static enum bp_verdict
lower(const struct bp_evidence *e, const struct bp_bayes *bayes, struct bp_bayes *next)
{
    double of_weights;
    const double variance = weigh(e, bayes, next, &of_weights);
    const double penalty = one_penalty(e, bayes->penalties) / FALL;
    const bool nothing = of_weights < DETERMINED && bayes->kept_log_evidence == -DBL_MAX;
    const bool better = !nothing && next->log_evidence > bayes->kept_log_evidence;

    next->waited = better || nothing ? 0 : bayes->waited + 1;
    if (next->waited > PATIENCE || penalty < LAST * (double)bayes->residuals) {
        next->stage = BP_RELEVANCE;
        next->waited = 0;
        if (!better && bayes->kept_log_evidence > -DBL_MAX)
            take_kept(e->net, bayes, next);
        return better ? BP_KEEP : BP_GO_BACK;
    }
    set_all(e, penalty, variance, next->penalties);
    return nothing ? BP_GO_BACK : better ? BP_KEEP : BP_GO_ON;
}

enum bp_verdict
bp_next_penalties(const struct bp_evidence *e, const struct bp_bayes *bayes, struct bp_bayes *next)
{
    double of_weights;

    if (bayes->stage == BP_ONE_PENALTY)
        return lower(e, bayes, next);
    const double variance = weigh(e, bayes, next, &of_weights);
    const double change = fabs(next->log_evidence - bayes->log_evidence);
    next->waited = change < CHANGE ? bayes->waited + 1 : 0;
    if (next->waited < CALM) {
        set_each(e, bayes->penalties, variance, next->penalties);
        return BP_GO_ON;
    }
    next->stage = BP_SETTLED;
    if (next->log_evidence > bayes->kept_log_evidence)
        return BP_KEEP;
    take_kept(e->net, bayes, next);
    return BP_GO_BACK;
}

void
bp_spread_penalties(const struct bp_evidence *e, const double *penalties, double *of_parameters)
{
    for (size_t g = 0; g < bp_groups(e->net); g++) {
        const struct group group = group_of(e->net, g);
        for (size_t p = group.first; p < group.last; p++)
            of_parameters[p] = e->free && !e->free[p] ? 0 : penalties[g];
    }
}
