/* Work in pieces: each thing is done once, whoever takes it, phase after phase; and a thread that is late delays the
 * others by the piece that it has. Prints what fails. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/pieces.h"

enum { MOST = 64, GROUPS = 4, PHASES = 50 };

struct phases {
    size_t count, threads, grain, groups;
    bool late; /* thread 1, which waits with its first piece until all others are done */
    atomic_size_t done;
    atomic_int times[GROUPS][MOST];
};

static atomic_int failures;

static void
expect(bool right, const char *what, const struct phases *p)
{
    if (!right && atomic_fetch_add(&failures, 1) < 10)
        printf("FAILED: %s: %zu things, %zu threads, grain %zu\n", what, p->count, p->threads, p->grain);
}

/* Whether all but this thread's piece is done before long */
static bool
others_end(const struct phases *p, size_t own)
{
    const double until = bp_seconds_now() + 10;

    while (atomic_load(&p->done) < p->count - own)
        if (bp_seconds_now() > until)
            return false;
    return true;
}

static void
do_phase(struct phases *p, struct bp_team *team, size_t me)
{
    struct bp_pieces pieces = {
        .team = team, .count = p->count, .threads = p->threads, .me = me, .grain = p->grain, .groups = p->groups};
    size_t first, last;

    for (bool begun = false; bp_next_piece(&pieces, &first, &last); begun = true) {
        expect(first < last && last <= p->count, "a piece within the things", p);
        if (p->late && me == 1 && !begun)
            expect(others_end(p, last - first), "what a late thread has not begun is taken", p);
        for (size_t i = first; i < last; i++)
            atomic_fetch_add(&p->times[pieces.group][i], 1);
        atomic_fetch_add(&p->done, last - first);
    }
}

static void
work(struct bp_team *team, size_t me, void *context)
{
    struct phases *p = context;

    for (int phase = 1; phase <= (p->late ? 3 : PHASES); phase++) {
        do_phase(p, team, me);
        bp_meet(team);
        if (me == 0) {
            bool once = true;
            for (size_t i = 0; i < p->count; i++)
                for (size_t g = 0; g < p->groups; g++)
                    once = once && atomic_load(&p->times[g][i]) == phase;
            expect(once, "each thing once in a phase, for each group", p);
            atomic_store(&p->done, 0);
        }
        bp_meet(team);
    }
}

/* Without others each thread has its share, in order, in pieces that become smaller. */
static void
test_one_share(void)
{
    struct phases p = {.count = 50, .threads = 2, .grain = 3, .groups = 1};
    const size_t wanted[] = {0, 15, 21, 24, 25}; /* 9 grains: 5, 2, 1, 1, and the last has one thing */
    struct bp_team *team = bp_team_open(2, NULL, NULL);
    struct bp_pieces pieces = {.team = team, .count = 50, .threads = 2, .me = 0, .grain = 3, .groups = 1};
    size_t first, last;

    for (size_t i = 0; i < 4; i++)
        expect(bp_next_piece(&pieces, &first, &last) && first == wanted[i] && last == wanted[i + 1],
               "halves of halves", &p);
    expect(bp_next_piece(&pieces, &first, &last) && first == 25 && last == 40, "then the other's", &p);
    bp_team_close(team);
}

/* A thread's share is of its group's things; then come those that follow: here the same things for the other group. */
static void
test_shares_of_groups(void)
{
    struct phases p = {.count = 20, .threads = 4, .grain = 10, .groups = 2};
    const size_t wanted[][2] = {{10, 1}, {0, 0}, {0, 1}, {10, 0}};
    struct bp_team *team = bp_team_open(4, NULL, NULL);
    struct bp_pieces pieces = {.team = team, .count = 20, .threads = 4, .me = 3, .grain = 10, .groups = 2};
    size_t first, last;

    for (size_t i = 0; i < 4; i++)
        expect(bp_next_piece(&pieces, &first, &last) && first == wanted[i][0] && last == first + 10 &&
                   pieces.group == wanted[i][1],
               "shares in turn", &p);
    expect(!bp_next_piece(&pieces, &first, &last), "the end", &p);
    bp_team_close(team);
}

int
main(void)
{
    const size_t counts[] = {0, 1, 2, 3, 7, 25, MOST}, threads[] = {1, 2, 3, 8}, grains[] = {1, 3, 8};

    test_one_share();
    test_shares_of_groups();
    for (size_t c = 0; c < 7; c++)
        for (size_t t = 0; t < 4; t++)
            for (size_t g = 0; g < 3; g++) {
                struct phases p = {.count = counts[c], .threads = threads[t], .grain = grains[g]};
                p.groups = p.threads % GROUPS == 0 ? GROUPS : 1;
                if (bp_team_run(p.threads, work, &p) != BP_OK)
                    expect(false, "threads", &p);
            }
    struct phases p = {.count = MOST, .threads = 2, .grain = 1, .groups = 1, .late = true};
    if (bp_team_run(p.threads, work, &p) != BP_OK)
        expect(false, "threads", &p);
    fflush(stdout); /* the tests load it as a library, which does not end here */
    return atomic_load(&failures) > 0;
}
