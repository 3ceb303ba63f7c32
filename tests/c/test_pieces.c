/* Work in pieces: each thing is done once, whoever takes it, phase after phase; and a thread that is late delays the
 * others by the piece that it has. Prints what fails. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/pieces.h"

enum { MOST = 64, PHASES = 50 };

struct phases {
    size_t count, threads, grain;
    bool late; /* thread 1, which waits with its first piece until all others are done */
    atomic_size_t done;
    atomic_int times[MOST];
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
    struct bp_pieces pieces = {.team = team, .count = p->count, .threads = p->threads, .me = me, .grain = p->grain};
    size_t first, last;

    for (bool begun = false; bp_next_piece(&pieces, &first, &last); begun = true) {
        expect(first < last && last <= p->count, "a piece within the things", p);
        if (p->late && me == 1 && !begun)
            expect(others_end(p, last - first), "what a late thread has not begun is taken", p);
        for (size_t i = first; i < last; i++)
            atomic_fetch_add(&p->times[i], 1);
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
                once = once && atomic_load(&p->times[i]) == phase;
            expect(once, "each thing once in a phase", p);
            atomic_store(&p->done, 0);
        }
        bp_meet(team);
    }
}

/* Without others each thread has its share, in order, in pieces that become smaller. */
static void
test_one_share(void)
{
    struct phases p = {.count = 50, .threads = 2, .grain = 3};
    const size_t wanted[] = {0, 15, 21, 24, 25}; /* 9 grains: 5, 2, 1, 1, and the last has one thing */
    struct bp_team *team = bp_team_open(2, NULL, NULL);
    struct bp_pieces pieces = {.team = team, .count = 50, .threads = 2, .me = 0, .grain = 3};
    size_t first, last;

    for (size_t i = 0; i < 4; i++)
        expect(bp_next_piece(&pieces, &first, &last) && first == wanted[i] && last == wanted[i + 1],
               "halves of halves", &p);
    expect(bp_next_piece(&pieces, &first, &last) && first == 25 && last == 40, "then the other's", &p);
    bp_team_close(team);
}

int
main(void)
{
    const size_t counts[] = {0, 1, 2, 3, 7, 25, MOST}, threads[] = {1, 2, 3, 5}, grains[] = {1, 3, 8};

    test_one_share();
    for (size_t c = 0; c < 7; c++)
        for (size_t t = 0; t < 4; t++)
            for (size_t g = 0; g < 3; g++) {
                struct phases p = {.count = counts[c], .threads = threads[t], .grain = grains[g]};
                if (bp_team_run(p.threads, work, &p) != BP_OK)
                    expect(false, "threads", &p);
            }
    struct phases p = {.count = MOST, .threads = 2, .grain = 1, .late = true};
    if (bp_team_run(p.threads, work, &p) != BP_OK)
        expect(false, "threads", &p);
    fflush(stdout); /* the tests load it as a library, which does not end here */
    return atomic_load(&failures) > 0;
}
