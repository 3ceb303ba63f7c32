/* The choice between a team and one thread, on machines of arithmetic: what it costs to find out, where the
 * answer is known. Prints what fails. */
#include <math.h>
#include <stdio.h>

#include "core/train/pace.h"

/* seconds a step of the team and of one thread at a time; one window in twenty is held up */
struct machine {
    double team, solo;
    double change_at, team_then; /* seconds, and a step of the team from then on */
    double cold;                 /* the first step of a team that slept takes so much more */
    double hold_up;              /* and a window that was held up */
    double waiting;              /* part of the team's time */
};

static unsigned long long state;

static double
uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 40) / 16777216.0;
}

/* Seconds until `steps` steps are done, and at *team how many of them the team did. */
static double
train(const struct machine *m, double steps, double *team)
{
    struct bp_pace pace = {0};
    double now = 0, done = 0, last = 1e-4, waited = 0;
    bool alone = false;

    *team = 0;
    while (done < steps) {
        bp_pace_next(&pace, last, waited);
        const double count = (double)pace.steps;
        const double step = now < m->change_at ? m->team : m->team_then;
        last = count * (pace.alone ? m->solo : step);
        if (alone && !pace.alone)
            last += m->cold * m->solo;
        if (uniform() < 0.05)
            last += m->hold_up;
        waited = pace.alone ? 0 : m->waiting * last;
        alone = pace.alone;
        now += last;
        done += count;
        if (!alone)
            *team += count;
    }
    return now;
}

static int
expect(const char *what, bool holds)
{
    if (!holds)
        printf("FAILED: %s\n", what);
    return !holds;
}

int
main(void)
{
    int failed = 0;
    double team;

    for (state = 1; state < 20; state++) {
        const unsigned long long seed = state;
        /* two threads to themselves: steps of 1 ms, of 20 ms, of 15 us, none of them given up for a hold-up */
        struct machine m = {.team = 1.05e-3, .solo = 2e-3, .change_at = INFINITY, .cold = 2, .hold_up = 4e-3};
        train(&m, 1000, &team);
        failed += expect("1 ms: the team does it", team > 800);
        m = (struct machine){.team = 21e-3, .solo = 40e-3, .change_at = INFINITY, .hold_up = 4e-3};
        train(&m, 300, &team);
        failed += expect("20 ms: the team does it", team > 290);
        m = (struct machine){.team = 10e-6, .solo = 15e-6, .change_at = INFINITY, .hold_up = 1e-3};
        train(&m, 100000, &team);
        failed += expect("10 us: the team does it", team > 90000);
        /* a team that waits, and is faster all the same */
        m = (struct machine){.team = 1.4e-3, .solo = 2e-3, .change_at = INFINITY, .waiting = 0.3};
        train(&m, 2000, &team);
        failed += expect("waiting: the team does it", team > 1800);
        /* steps too short to share, and a core that another program has */
        m = (struct machine){.team = 30e-6, .solo = 15e-6, .change_at = INFINITY};
        double took = train(&m, 20000, &team);
        failed += expect("too short: about one thread's time", took < 1.04 * 20000 * m.solo);
        m = (struct machine){.team = 4e-3, .solo = 2e-3, .change_at = INFINITY, .cold = 1, .waiting = 0.5};
        took = train(&m, 1000, &team);
        failed += expect("a core is taken: about one thread's time", took < 1.04 * 1000 * m.solo);
        m = (struct machine){.team = 2.5e-3, .solo = 2e-3, .change_at = INFINITY, .cold = 1};
        took = train(&m, 1000, &team);
        failed += expect("a slow core: about one thread's time", took < 1.04 * 1000 * m.solo);
        /* a core that is taken, or given back, meanwhile */
        m = (struct machine){.team = 1e-3, .solo = 2e-3, .change_at = 1, .team_then = 5e-3, .cold = 0.2};
        took = train(&m, 2000, &team);
        failed += expect("taken after a second", took < 1.04 * (1 + 1000 * m.solo));
        m = (struct machine){.team = 5e-3, .solo = 2e-3, .change_at = 1, .team_then = 1e-3, .cold = 0.2};
        took = train(&m, 4500, &team);
        failed += expect("given back after a second", took < 1 + 4000 * 1e-3 + 1.5);
        state = seed;
    }
    fflush(stdout); /* the tests load it as a library, which does not end here */
    return failed != 0;
}
