#include "pace.h"

/* A window is to last about this long: many barriers, and few enough to try others soon; one that
 * only tries another number of threads is shorter. */
#define WINDOW_SECONDS 2e-3
#define TRY_SECONDS 0.5e-3
/* More threads are taken where they are so much faster, fewer where they are hardly slower. */
#define FASTER 0.95
#define HARDLY_SLOWER 1.03
/* Tries that fail may cost this part of the processor time so far: where there is a reason for one,
 * the first in a direction, when little is known, and fewer threads without a reason. The first one
 * may also cost a part of what the training takes in all, as far as that is foreseen. */
#define BUDGET 0.05
#define FIRST_BUDGET 0.25
#define IDLE_BUDGET 0.02
#define FORESEEN_BUDGET 0.15
#define FORESEEN_SECONDS 0.1 /* at most: it may end sooner */

/* seconds between two tries in the same direction, the second being twice as late as the first */
#define FIRST_PATIENCE 32e-3
#define MOST_PATIENCE 2.0

enum { MOST_STEPS = 4096, SHORT_STEPS = 8 };

static size_t
threads_of(const struct bp_pace *pace, size_t level)
{
    return level < BP_PACE_LEVELS - 1 && (size_t)1 << level < pace->most ? (size_t)1 << level
                                                                        : pace->most;
}

/* The next window: so many steps that it lasts `length`, where one takes `step` seconds */
static void
choose(struct bp_pace *pace, size_t level, double length, double step)
{
    const double steps = length / step;

    pace->now = level;
    pace->threads = threads_of(pace, level);
    pace->steps = !(steps > 1) ? 1 : steps > (double)MOST_STEPS ? MOST_STEPS : (size_t)steps;
}

/* One step wakes the threads that slept. */
static void
warm_up(struct bp_pace *pace, size_t level)
{
    choose(pace, level, 0, 1);
    pace->warming = true;
}

static void
keep_on(struct bp_pace *pace)
{
    choose(pace, pace->level, WINDOW_SECONDS, pace->levels[pace->level].usual);
}

/* Whether the others wait so much that the team does less than two threads would, or, of two
 * threads, than one and a half: one of them shares its core. */
static bool
doubtful(const struct bp_pace *pace, double waiting)
{
    const double working = (1 - waiting) * (double)pace->threads;

    return pace->threads > 1 && working < (pace->threads > 2 ? 2 : 1.5);
}

/* Whether a try of another level is due that costs so many seconds of processor time and may cost
 * `budget` of it. */
static bool
due(const struct bp_pace *pace, const struct bp_pace_tries *tries, double cost, double budget)
{
    const double threads = (double)threads_of(pace, pace->level);

    if (tries->since < tries->patience)
        return false;
    if (pace->tried + cost < budget * pace->elapsed * threads)
        return true;
    return budget == FIRST_BUDGET &&
           pace->tried + cost < FORESEEN_BUDGET * (pace->elapsed + pace->foreseen) * threads;
}

/* what a try may cost where there is a reason for it */
static double
budget_of(const struct bp_pace_tries *tries)
{
    return tries->tried ? BUDGET : FIRST_BUDGET;
}

/* Whether half the threads may be as good: the team waits, or that was never tried, and steps are so
 * short that a try is soon over. */
static bool
fewer_may_do(const struct bp_pace *pace, double waiting)
{
    return doubtful(pace, waiting) || (!pace->down.tried && pace->steps >= SHORT_STEPS);
}

/* After a window at the level that is kept */
static void
after_usual(struct bp_pace *pace, double step, double waiting, bool crowded)
{
    struct bp_pace_level *here = &pace->levels[pace->level];
    const double threads = (double)pace->threads, length = step > TRY_SECONDS ? step : TRY_SECONDS;

    /* one window that was held up says little */
    const double seen = step < 2 * here->usual ? step : 2 * here->usual;
    here->usual = here->usual > 0 ? here->usual + (seen - here->usual) / 4 : step;
    here->best = here->best > 0 && here->best * HARDLY_SLOWER < step ? here->best * 1.01 : step;
    if (pace->level > 0 && due(pace, &pace->down, threads * length,
                               fewer_may_do(pace, waiting) ? budget_of(&pace->down) : IDLE_BUDGET)) {
        choose(pace, pace->level - 1, TRY_SECONDS, here->usual);
        return;
    }
    if (pace->threads < pace->most && !crowded) {
        const double more = (double)threads_of(pace, pace->level + 1);
        if (due(pace, &pace->up, more * (length + step), budget_of(&pace->up))) {
            warm_up(pace, pace->level + 1);
            return;
        }
    }
    keep_on(pace);
}

static double
longer(double patience)
{
    const double next = patience > 0 ? 2 * patience : FIRST_PATIENCE;

    return next < MOST_PATIENCE ? next : MOST_PATIENCE;
}

/* The level that was tried is kept from now on; on the way back is less to be seen. */
static void
move_to_tried(struct bp_pace *pace, double step, bool up)
{
    const struct bp_pace_tries again = {.patience = MOST_PATIENCE / 4, .tried = true};

    pace->level = pace->now;
    pace->levels[pace->level] = (struct bp_pace_level){step, step};
    pace->up = up ? (struct bp_pace_tries){0} : again;
    pace->down = up ? again : (struct bp_pace_tries){0};
    keep_on(pace);
}

/* After a window at another level */
static void
after_try(struct bp_pace *pace, double step, double seconds)
{
    const bool up = pace->now > pace->level;
    const struct bp_pace_level *here = &pace->levels[pace->level];
    struct bp_pace_tries *tries = up ? &pace->up : &pace->down;

    if (up ? step < FASTER * here->best : step <= HARDLY_SLOWER * here->usual) {
        move_to_tried(pace, step, up);
        return;
    }
    pace->tried += seconds * (double)pace->threads;
    tries->patience = longer(tries->patience);
    tries->since = 0;
    tries->tried = true;
    if (up)
        keep_on(pace);
    else
        warm_up(pace, pace->level);
}

/* The next lower level, after a window on crowded cores. More threads are tried again, after twice as
 * long each time: two programs that wait for each other's threads would else take turns. */
static void
give_way(struct bp_pace *pace, double step)
{
    pace->gave_way = longer(pace->gave_way);
    const struct bp_pace_tries again = {.patience = pace->gave_way, .tried = true};

    pace->level = pace->now - 1;
    pace->levels[pace->level] = (struct bp_pace_level){0};
    pace->down = pace->up = again;
    pace->warming = false;
    choose(pace, pace->level, TRY_SECONDS, step);
}

void
bp_pace_begin(struct bp_pace *pace, size_t most, size_t first)
{
    *pace = (struct bp_pace){.most = most};
    while (threads_of(pace, pace->level) < first)
        pace->level++;
    warm_up(pace, pace->level);
}

void
bp_pace_next(struct bp_pace *pace, struct bp_pace_window last, double left)
{
    const double step = last.seconds / (double)pace->steps, foreseen = left * step;

    pace->elapsed += last.seconds;
    pace->foreseen = foreseen < FORESEEN_SECONDS ? foreseen : FORESEEN_SECONDS;
    pace->down.since += last.seconds;
    pace->up.since += last.seconds;
    if (last.crowded && pace->threads > 1)
        give_way(pace, step);
    else if (pace->warming) { /* what a step takes is known about */
        pace->warming = false;
        const bool known = pace->now == pace->level && pace->levels[pace->level].usual > 0;
        choose(pace, pace->now, known ? WINDOW_SECONDS : TRY_SECONDS, step);
    }
    else if (pace->now == pace->level)
        after_usual(pace, step, last.waited / last.seconds, last.crowded);
    else
        after_try(pace, step, last.seconds);
}
