#include "pace.h"

/* A window is to last about this long: many barriers, and few enough to try both kinds soon. */
#define WINDOW_SECONDS 2e-3
/* The team is doubted once others wait for a thread for this part of the time, as for one that
 * shares its core. */
#define LATE 0.25

/* Where a window is only a few long steps, to try one thread costs as much as a good part of a
 * short training: without doubt that comes only after so many windows of the team. */
enum { FEW_STEPS = 8, UNDOUBTED = 32 };
enum { MOST_STEPS = 4096, FIRST_PATIENCE = 16, MOST_PATIENCE = 1024 };

/* `step`: seconds that a step of that kind takes, about */
static void
choose(struct bp_pace *pace, bool alone, double step)
{
    const double steps = WINDOW_SECONDS / step;

    pace->warming = !alone && pace->alone; /* the others slept */
    pace->together = alone ? 0 : pace->together + 1;
    pace->alone = alone;
    pace->steps = steps < 1 || pace->warming   ? 1
                  : steps > (double)MOST_STEPS ? MOST_STEPS
                                               : (size_t)steps;
}

/* One thread, until the team is tried again: after twice as many windows if it was soon given up */
static void
give_up(struct bp_pace *pace)
{
    if (pace->patience == 0 || pace->together > FIRST_PATIENCE)
        pace->patience = FIRST_PATIENCE;
    else if (pace->patience < MOST_PATIENCE)
        pace->patience *= 2;
    pace->until_probe = pace->patience;
    choose(pace, true, pace->solo);
}

static void
after_one(struct bp_pace *pace)
{
    if (pace->team < pace->solo) {
        pace->until_probe = FIRST_PATIENCE;
        choose(pace, false, pace->team);
    }
    else if (pace->until_probe > 0) {
        pace->until_probe--;
        choose(pace, true, pace->solo);
    }
    else
        choose(pace, false, pace->team);
}

static void
after_team(struct bp_pace *pace, bool doubt)
{
    const bool known = pace->solo > 0;
    bool try = doubt && pace->until_probe == 0;

    if (known && pace->team >= pace->solo) {
        give_up(pace);
        return;
    }
    if (!known)
        try = doubt || pace->steps >= FEW_STEPS || pace->windows >= UNDOUBTED;
    else if (doubt && !try)
        pace->until_probe--;
    choose(pace, try, try && known ? pace->solo : pace->team);
}

void
bp_pace_next(struct bp_pace *pace, double seconds, double waited)
{
    const double step = pace->windows > 0 ? seconds / (double)pace->steps : seconds;

    pace->windows++;
    if (pace->windows == 1) { /* of no steps: it only began */
        pace->warming = true;
        pace->steps = 1;
    }
    else if (pace->warming)
        choose(pace, false, step);
    else if (pace->alone) {
        pace->solo = step;
        after_one(pace);
    }
    else {
        pace->team = step;
        after_team(pace, waited > LATE * seconds);
    }
}
