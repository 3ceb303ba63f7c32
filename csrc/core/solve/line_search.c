#include "line_search.h"

#include <math.h>

static const double DECREASE = 1e-4, CURVATURE = 0.9; /* c₁, c₂ */

/* Values are level where rounding decides which is lower: there the slopes have to say whether the
 * decrease is enough (W. W. Hager and H. Zhang, "A new conjugate gradient method with guaranteed
 * descent and an efficient line search", SIAM Journal on Optimization 16, 2005). */
static const double LEVEL = 1e-10;

static bool
is_level(struct bp_on_line start, struct bp_on_line at)
{
    return at.value <= start.value && start.value - at.value <= LEVEL * fabs(start.value) &&
           at.slope <= (2 * DECREASE - 1) * start.slope;
}

void
bp_line_search_begin(struct bp_line_search *s, struct bp_on_line start, double step)
{
    *s = (struct bp_line_search){
        .start = start,
        .best = start,
        .other = start,
        .most = 5 * step,
        .width = INFINITY,
        .width_before = INFINITY,
    };
}

/* where the cubic through both has its minimum, as a share of the way from a to b; `inside` keeps
 * the root real */
static double
cubic_share(struct bp_on_line a, struct bp_on_line b, bool beyond)
{
    const double theta = 3 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope;
    const double scale = fmax(fabs(theta), fmax(fabs(a.slope), fabs(b.slope)));
    const double under = theta / scale * (theta / scale) - a.slope / scale * (b.slope / scale);
    const double root = scale * sqrt(fmax(0, under));
    const double gamma = (b.step > a.step) ? root : -root;

    if (beyond && gamma == 0)
        return INFINITY;
    return (gamma - a.slope + theta) / (gamma - a.slope + gamma + b.slope);
}

/* The next trial from the best point and the one just tried; Moré and Thuente's four cases. */
static double
trial(const struct bp_line_search *s, struct bp_on_line best, struct bp_on_line other,
      struct bp_on_line at)
{
    const double way = at.step - best.step;

    if (at.value > best.value) { /* 1: higher: between the two */
        const double cubic = best.step + cubic_share(best, at, false) * way;
        const double drop = (best.value - at.value) / way + best.slope;
        const double quadratic = best.step + best.slope / drop / 2 * way;
        return fabs(cubic - best.step) < fabs(quadratic - best.step)
                   ? cubic
                   : cubic + (quadratic - cubic) / 2;
    }
    const double secant = at.step + at.slope / (at.slope - best.slope) * (best.step - at.step);
    if (at.slope * best.slope < 0) { /* 2: lower, and the slope has turned */
        const double cubic = at.step + cubic_share(at, best, false) * (best.step - at.step);
        return fabs(cubic - at.step) > fabs(secant - at.step) ? cubic : secant;
    }
    if (fabs(at.slope) < fabs(best.slope)) { /* 3: lower, and flatter */
        const double share = cubic_share(at, best, true);
        const double cubic = share < 0 && isfinite(share) ? at.step + share * (best.step - at.step)
                             : at.step > best.step        ? s->most
                                                          : s->least;
        const bool nearer = fabs(cubic - at.step) < fabs(secant - at.step);
        if (!s->bracketed)
            return nearer ? secant : cubic;
        const double next = nearer ? cubic : secant;
        const double limit = at.step + 0.66 * (other.step - at.step);
        return at.step > best.step ? fmin(limit, next) : fmax(limit, next);
    }
    if (s->bracketed) /* 4: lower, and steeper */
        return at.step + cubic_share(at, other, false) * (other.step - at.step);
    return at.step > best.step ? s->most : s->least;
}

static struct bp_on_line
tilted(struct bp_on_line p, double slope)
{
    return (struct bp_on_line){p.step, p.value - p.step * slope, p.slope - slope};
}

/* The interval after `at`; best and other are tilted or not, as `at` is. */
static void
shrink(struct bp_line_search *s, struct bp_on_line at, struct bp_on_line seen,
       struct bp_on_line seen_best)
{
    if (seen.value > seen_best.value) {
        s->other = at;
        s->bracketed = true;
        return;
    }
    if (seen.slope * seen_best.slope < 0) {
        s->other = s->best;
        s->bracketed = true;
    }
    s->best = at;
}

enum bp_search
bp_line_search_take(struct bp_line_search *s, struct bp_on_line at, double *next)
{
    const double wanted = DECREASE * s->start.slope;
    const bool low = at.value <= s->start.value + at.step * wanted;
    const double tilt = !s->decrease_met && !low && at.value <= s->best.value ? wanted : 0;

    if (low && at.slope >= 0)
        s->decrease_met = true;
    if ((low || is_level(s->start, at)) && fabs(at.slope) <= CURVATURE * -s->start.slope)
        return BP_SEARCH_FOUND;
    if (s->bracketed && (at.step <= s->least || at.step >= s->most))
        return BP_SEARCH_STUCK;

    const struct bp_on_line seen = tilted(at, tilt), best = tilted(s->best, tilt);
    double step = trial(s, best, tilted(s->other, tilt), seen);
    shrink(s, at, seen, best);
    if (s->bracketed) {
        const double between = fabs(s->other.step - s->best.step);
        if (between >= 0.66 * s->width_before)
            step = s->best.step + (s->other.step - s->best.step) / 2;
        s->width_before = s->width;
        s->width = between;
        s->least = fmin(s->best.step, s->other.step);
        s->most = fmax(s->best.step, s->other.step);
        if (s->most - s->least <= 1e-15 * s->most)
            return BP_SEARCH_STUCK;
    }
    else {
        step = fmin(fmax(step, s->least), s->most);
        s->least = step + 1.1 * (step - s->best.step);
        s->most = step + 4 * (step - s->best.step);
    }
    *next = step;
    return isfinite(*next) ? BP_SEARCH_ON : BP_SEARCH_STUCK;
}
