#include "pace.h"

/* A window is to last about this long: many barriers, and few enough to try both kinds soon. */
#define WINDOW_SECONDS 2e-3
/* The team is doubted once its steps take this many times what they took at best. */
#define DOUBT 1.3
/* or once others wait for a thread for this part of the time, as for one that shares its core */
#define LATE 0.25

/* Where a window is only a few long steps, to try one thread costs as much as a good part of a short
 * training: without doubt that comes only after so many windows of the team. */
enum { FEW_STEPS = 8, UNDOUBTED = 32 };
enum { MOST_STEPS = 4096, FIRST_PATIENCE = 16, MOST_PATIENCE = 1024 };

static void
choose(struct bp_pace *pace, bool alone)
{
    const double step = alone && pace->solo > 0 ? pace->solo : pace->team;
    const double steps = WINDOW_SECONDS / step;

    pace->after_alone = pace->alone;
    pace->alone = alone;
    pace->steps = steps < 1 ? 1 : steps > (double)MOST_STEPS ? MOST_STEPS : (size_t)steps;
}

void
bp_pace_next(struct bp_pace *pace, double seconds, double waited)
{
    const size_t window = pace->windows++;

    if (window == 0) { /* warms up: its time says nothing */
        pace->steps = 1;
        pace->patience = FIRST_PATIENCE;
        return;
    }
    const double step = seconds / (double)pace->steps;
    if (pace->alone)
        pace->solo = step;
    else {
        pace->team = step;
        pace->late = !pace->after_alone && waited > LATE * seconds;
        if (window > 1 && (pace->best_team == 0 || step < pace->best_team))
            pace->best_team = step;
    }
    if (window < 3) /* the team's first measured window */
        choose(pace, false);
    else if (pace->solo == 0) /* and one thread's */
        choose(pace, pace->late || pace->steps >= FEW_STEPS || window >= UNDOUBTED);
    else if (pace->alone && pace->solo < pace->team) {
        /* stays alone; now and then the team gets another chance, ever less often */
        if (pace->until_probe-- > 0)
            choose(pace, true);
        else {
            pace->until_probe = pace->patience;
            pace->patience = pace->patience * 2 < MOST_PATIENCE ? pace->patience * 2 : MOST_PATIENCE;
            choose(pace, false);
        }
    }
    else if (pace->alone || pace->team < pace->solo) {
        /* stays a team, or becomes one, until it does worse than it can */
        const bool doubt = pace->late || pace->team > DOUBT * pace->best_team;
        if (!pace->alone && doubt && pace->until_probe-- == 0) {
            pace->until_probe = FIRST_PATIENCE;
            choose(pace, true);
        }
        else
            choose(pace, false);
    }
    else
        choose(pace, true);
}
