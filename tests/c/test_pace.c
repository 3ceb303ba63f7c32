/* The choice of the number of threads, on machines of arithmetic: what it costs to find out, where the
 * answer is known. Prints what fails. */
#include <math.h>
#include <stdio.h>

#include "core/train/pace.h"

enum { LEVELS = 5 }; /* 1, 2, 4, 8, 16 threads */

/* seconds a step of as many threads; one window in twenty is held up */
struct machine {
    size_t most, first;
    double step[LEVELS], then[LEVELS]; /* `then` from change_at on */
    double change_at;                  /* seconds */
    double cold;                       /* the first step of threads that slept takes so many more */
    double hold_up;                    /* seconds: of a window that was held up */
    double waiting;                    /* part of the time of more threads than one */
    bool crowded[2];                   /* before change_at, then */
};

struct result {
    double seconds, processor; /* the team's, waiting too */
    double part[LEVELS];       /* of the steps, by so many threads */
};

static unsigned long long state;

static double
uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 40) / 16777216.0;
}

static size_t
level_of(size_t threads)
{
    size_t level = 0;
    while ((size_t)1 << level < threads)
        level++;
    return level;
}

static struct result
train(const struct machine *m, double steps)
{
    struct bp_pace pace;
    struct result r = {0};
    size_t before = m->first;
    double done = 0;

    bp_pace_begin(&pace, m->most, m->first);
    for (;;) {
        const size_t level = level_of(pace.threads);
        const double left = steps - done, planned = (double)pace.steps;
        const double count = planned < left ? planned : left;
        double last = count * (r.seconds < m->change_at ? m->step : m->then)[level];
        if (pace.threads > before)
            last += m->cold * m->step[0];
        if (uniform() < 0.05)
            last += m->hold_up;
        r.seconds += last;
        r.processor += last * (double)pace.threads;
        r.part[level] += count / steps;
        done += count;
        if (done >= steps)
            return r;
        before = pace.threads;
        const struct bp_pace_window window = {
            .seconds = last,
            .waited = pace.threads > 1 ? m->waiting * last : 0,
            .crowded = m->crowded[r.seconds >= m->change_at],
        };
        bp_pace_next(&pace, window, steps - done);
    }
}

static int
expect(const char *what, bool holds)
{
    if (!holds)
        printf("FAILED: %s\n", what);
    return !holds;
}

/* steps of `one` seconds on one thread; each doubling makes them `ratio` of that, up to `useful` */
static struct machine
scaling(size_t most, size_t first, double one, double ratio, size_t useful)
{
    struct machine m = {.most = most, .first = first, .change_at = INFINITY, .cold = 0.1};

    for (size_t l = 0; l < LEVELS; l++)
        m.step[l] = l == 0                      ? one
                    : (size_t)1 << l <= useful ? ratio * m.step[l - 1]
                                               : 1.3 * m.step[l - 1];
    return m;
}

static int
steady(void)
{
    int failed = 0;
    struct machine m = scaling(2, 2, 2e-3, 0.52, 2);
    m.hold_up = 4e-3;
    failed += expect("1 ms: two do it", train(&m, 1000).part[1] > 0.8);
    m = scaling(2, 2, 40e-3, 0.52, 2);
    failed += expect("20 ms: two do it", train(&m, 300).part[1] > 0.95);
    m = scaling(2, 2, 2e-3, 0.7, 2); /* a team that waits, and is faster all the same */
    m.waiting = 0.3;
    failed += expect("waiting: two do it", train(&m, 2000).part[1] > 0.85);
    m = scaling(2, 1, 150e-6, 0.55, 2);
    failed += expect("others join one", train(&m, 2000).part[1] > 0.85);
    m = scaling(2, 1, 1e-3, 0.55, 2);
    failed += expect("another joins soon", train(&m, 40).part[1] > 0.8);
    m = scaling(16, 1, 200e-6, 0.55, 16);
    failed += expect("sixteen join one", train(&m, 10000).part[4] > 0.8);
    m = scaling(16, 16, 50e-3, 0.55, 16);
    failed += expect("sixteen stay", train(&m, 200).part[4] > 0.9);
    m = scaling(16, 1, 200e-6, 0.6, 4);
    struct result r = train(&m, 20000);
    failed += expect("four of sixteen are enough", r.part[2] > 0.85);
    failed += expect("four: close to the best", r.seconds < 1.05 * 20000 * m.step[2]);
    m = scaling(16, 16, 2e-3, 0.6, 4);
    m.waiting = 0.9;
    failed += expect("down to four of sixteen", train(&m, 20000).part[2] > 0.8);
    return failed;
}

/* Where more threads do not pay: the time of one, and not much more of the processor's, in trainings
 * of any length. */
static int
one_is_best(void)
{
    static const double steps[] = {3, 30, 150, 1000, 20000};
    int failed = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        for (size_t most = 2; most <= 16; most *= 2)
            for (double one = 20e-6; one < 2e-3; one *= 3) {
                struct machine m = scaling(most, 1, one, 1.5, 16);
                m.waiting = 0.5;
                const struct result r = train(&m, steps[i]);
                failed += expect("one is best: about its time", r.seconds <= 1.06 * steps[i] * one);
                failed += expect("one is best: its processor time",
                                 r.processor <= 1.3 * steps[i] * one);
            }
    return failed;
}

static int
a_core_is_taken(void)
{
    int failed = 0;
    struct machine m = scaling(2, 2, 2e-3, 2, 2);
    m.waiting = 0.5;
    m.cold = 1;
    struct result r = train(&m, 1000);
    failed += expect("a core is taken: about one thread's time", r.seconds < 1.06 * 1000 * 2e-3);
    m = scaling(2, 2, 2e-3, 1.25, 2);
    m.cold = 1;
    r = train(&m, 2000);
    failed += expect("a slow core: about one thread's time", r.seconds < 1.06 * 2000 * 2e-3);
    /* a core that is taken, or given back, meanwhile */
    m = scaling(2, 2, 2e-3, 0.5, 2);
    m.change_at = 1;
    m.then[0] = 2e-3;
    m.then[1] = 5e-3;
    r = train(&m, 2000);
    failed += expect("taken after a second", r.seconds < 1.06 * (1 + 1000 * 2e-3));
    m.step[1] = 5e-3;
    m.then[1] = 1e-3;
    r = train(&m, 4500);
    failed += expect("given back after a second", r.seconds < 1 + 4000 * 1e-3 + 2.5);
    return failed;
}

/* More threads would be faster, at the cost of the programs that share the cores. */
static int
crowded(void)
{
    int failed = 0;
    struct machine m = scaling(16, 1, 400e-6, 0.6, 16);
    m.crowded[0] = true;
    failed += expect("crowded: one stays alone", train(&m, 5000).part[0] > 0.9999);
    m.first = 16;
    failed += expect("crowded: sixteen give way", train(&m, 5000).part[0] > 0.97);
    m.change_at = 1;
    for (size_t l = 0; l < LEVELS; l++)
        m.then[l] = m.step[l];
    const struct result r = train(&m, 50000);
    failed += expect("given back: sixteen do it", r.part[4] > 0.8);
    m.crowded[0] = false;
    m.crowded[1] = true;
    failed += expect("crowded after a second: one does it", train(&m, 50000).part[0] > 0.6);
    return failed;
}

/* Steps of a microsecond, which all begin */
static int
tiny_steps(void)
{
    const struct machine m = scaling(2, 2, 1e-6, 2, 1);

    return expect("tiny steps: one does it", train(&m, 10000).seconds < 1.3 * 10e-3);
}

int
main(void)
{
    int failed = 0;

    for (unsigned long long seed = 1; seed < 20; seed++) {
        state = seed;
        failed += steady() + one_is_best() + a_core_is_taken() + crowded() + tiny_steps();
    }
    fflush(stdout); /* the tests load it as a library, which does not end here */
    return failed != 0;
}
