/* Threads begin and wake on cores of their own, and may afterwards run where they might before: core.c, on a system of
 * four cores whose scheduler is written here. Linux only; prints what fails. */
#define _GNU_SOURCE /* sets of cores */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

/* of the one thread */
static struct {
    cpu_set_t group; /* the cores of its control group */
    cpu_set_t asked; /* those that it asked for last */
    int core;
    int moves;
} thread;

static const int callers_core = 1;

static cpu_set_t
granted(void)
{
    cpu_set_t set;
    CPU_AND(&set, &thread.group, &thread.asked);
    return set;
}

static int
get(size_t size, cpu_set_t *set)
{
    (void)size;
    *set = granted();
    return 0;
}

static int
ask(size_t size, const cpu_set_t *set)
{
    (void)size;
    const cpu_set_t before = thread.asked;
    thread.asked = *set;
    const cpu_set_t now = granted();
    if (CPU_COUNT(&now) == 0) {
        thread.asked = before;
        return -1;
    }
    if (!CPU_ISSET((size_t)thread.core, &now)) {
        for (thread.core = 0; !CPU_ISSET((size_t)thread.core, &now);)
            thread.core++;
        thread.moves++;
    }
    return 0;
}

static int current_core;
#define sched_getcpu() current_core
#define sched_getaffinity(id, size, set) get(size, set)
#define sched_setaffinity(id, size, set) ask(size, set)
#define pthread_getaffinity_np(id, size, set) get(size, set)
#define pthread_setaffinity_np(id, size, set) ask(size, set)
#include "core/base/core.c"

static int failed;

static void
expect(bool right, const char *what)
{
    if (!right) {
        printf("FAILED: %s\n", what);
        failed = 1;
    }
}

/* bit i of the number: core i */
static cpu_set_t
cores(unsigned bits)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t i = 0; i < 8; i++)
        if (bits >> i & 1)
            CPU_SET(i, &set);
    return set;
}

static bool
may_run_on(unsigned bits)
{
    const cpu_set_t now = granted(), wanted = cores(bits);
    return CPU_EQUAL(&now, &wanted);
}

static void
set_up(unsigned group, unsigned asked, int core)
{
    thread.group = cores(group);
    thread.asked = cores(asked);
    thread.core = current_core = core;
    thread.moves = 0;
}

static void
test_begin(void)
{
    set_up(0xf, 0xff, callers_core);
    bp_begin_elsewhere(pthread_self());
    expect(thread.core != callers_core && may_run_on(0xf), "a new thread leaves its maker's core");

    set_up(0xf, 0xff, 3);
    current_core = callers_core;
    bp_begin_elsewhere(pthread_self());
    expect(thread.moves == 0 && may_run_on(0xf), "a new thread elsewhere stays there");

    set_up(0x2, 0xff, callers_core);
    bp_begin_elsewhere(pthread_self());
    expect(thread.core == callers_core && may_run_on(0x2), "a new thread stays on the only core");
}

static void
test_sleep(void)
{
    struct bp_stay stay;

    set_up(0xf, 0xff, 2);
    bp_stay(&stay);
    expect(may_run_on(0x4), "a sleeper may run on its core only");
    bp_may_move(&stay);
    expect(may_run_on(0xf), "a thread that woke may run on all cores");
    thread.group = cores(0x3f);
    expect(may_run_on(0x3f), "also on those that its control group gets later");

    set_up(0xf, 0xff, 2);
    bp_stay(&stay);
    thread.asked = cores(0x3);
    bp_may_move(&stay);
    expect(may_run_on(0x3), "what somebody else asked for meanwhile stays");

    set_up(0xf, 0x5, 2);
    bp_stay(&stay);
    bp_may_move(&stay);
    expect(may_run_on(0x5), "a thread that may run on some cores may run on those");

    set_up(0x4, 0xff, 2);
    bp_stay(&stay);
    expect(stay.core == -1, "nothing is done on the only core");
    thread.group = cores(0xf);
    bp_may_move(&stay);
    expect(may_run_on(0xf), "nor afterwards");
}

int
main(void)
{
    test_begin();
    test_sleep();
    fflush(stdout); /* the tests load it as a library, which does not end here */
    return failed;
}
